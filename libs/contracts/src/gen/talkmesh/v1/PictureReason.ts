// Original file: protos/talkmesh/v1/picture.proto


export interface PictureReason {
  'code'?: (string);
  'text'?: (string);
}

export interface PictureReason__Output {
  'code': (string);
  'text': (string);
}
