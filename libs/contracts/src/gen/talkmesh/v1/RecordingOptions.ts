// Original file: protos/talkmesh/v1/session.proto


export interface RecordingOptions {
  'sides'?: (string);
  'format'?: (string);
  'maxSeconds'?: (number);
}

export interface RecordingOptions__Output {
  'sides': (string);
  'format': (string);
  'maxSeconds': (number);
}
