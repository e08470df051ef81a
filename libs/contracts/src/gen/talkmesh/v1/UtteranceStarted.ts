// Original file: protos/talkmesh/v1/media.proto


export interface UtteranceStarted {
  'utterance'?: (number);
}

export interface UtteranceStarted__Output {
  'utterance': (number);
}
