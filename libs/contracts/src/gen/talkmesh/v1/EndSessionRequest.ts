// Original file: protos/talkmesh/v1/session.proto


export interface EndSessionRequest {
  'sessionId'?: (string);
}

export interface EndSessionRequest__Output {
  'sessionId': (string);
}
