// Original file: protos/talkmesh/v1/session.proto


export interface PauseSessionRequest {
  'sessionId'?: (string);
}

export interface PauseSessionRequest__Output {
  'sessionId': (string);
}
