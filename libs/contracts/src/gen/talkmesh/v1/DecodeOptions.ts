// Original file: protos/talkmesh/v1/stage.proto


export interface DecodeOptions {
  'avatar'?: (string);
  'size'?: (number);
}

export interface DecodeOptions__Output {
  'avatar': (string);
  'size': (number);
}
