// Original file: protos/talkmesh/v1/media.proto


export interface StartInputRequest {
  'sessionId'?: (string);
}

export interface StartInputRequest__Output {
  'sessionId': (string);
}
