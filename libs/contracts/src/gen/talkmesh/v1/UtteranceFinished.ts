// Original file: protos/talkmesh/v1/media.proto


export interface UtteranceFinished {
  'utterance'?: (number);
  'positionMs'?: (number | string);
  'interrupted'?: (boolean);
}

export interface UtteranceFinished__Output {
  'utterance': (number);
  'positionMs': (number);
  'interrupted': (boolean);
}
