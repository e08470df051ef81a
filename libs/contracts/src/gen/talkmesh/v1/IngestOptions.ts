// Original file: protos/talkmesh/v1/stage.proto


export interface IngestOptions {
  'vad'?: (boolean);
}

export interface IngestOptions__Output {
  'vad': (boolean);
}
