// Original file: protos/talkmesh/v1/media.proto


export interface ChangeIceResponse {
  'fragment'?: (string);
}

export interface ChangeIceResponse__Output {
  'fragment': (string);
}
