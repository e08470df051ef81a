// Original file: protos/talkmesh/v1/picture.proto


export interface InspectPictureRequest {
  'rgb'?: (Buffer | Uint8Array | string);
  'landmarks'?: (number | string)[];
}

export interface InspectPictureRequest__Output {
  'rgb': (Buffer);
  'landmarks': (number)[];
}
