// Original file: protos/talkmesh/v1/media.proto


export interface InterruptResponse {
  'interrupted'?: (boolean);
}

export interface InterruptResponse__Output {
  'interrupted': (boolean);
}
