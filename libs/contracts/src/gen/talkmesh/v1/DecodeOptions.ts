// Original file: protos/talkmesh/v1/stage.proto


export interface DecodeOptions {
  'avatar'?: (string);
}

export interface DecodeOptions__Output {
  'avatar': (string);
}
