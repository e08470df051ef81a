// Original file: protos/talkmesh/v1/session.proto


export interface InterruptSessionRequest {
  'sessionId'?: (string);
}

export interface InterruptSessionRequest__Output {
  'sessionId': (string);
}
