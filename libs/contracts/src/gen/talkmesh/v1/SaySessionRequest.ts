// Original file: protos/talkmesh/v1/session.proto


export interface SaySessionRequest {
  'sessionId'?: (string);
  'text'?: (string);
}

export interface SaySessionRequest__Output {
  'sessionId': (string);
  'text': (string);
}
