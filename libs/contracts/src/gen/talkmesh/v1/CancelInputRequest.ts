// Original file: protos/talkmesh/v1/media.proto


export interface CancelInputRequest {
  'sessionId'?: (string);
}

export interface CancelInputRequest__Output {
  'sessionId': (string);
}
