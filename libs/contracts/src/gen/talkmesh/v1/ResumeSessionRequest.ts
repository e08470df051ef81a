// Original file: protos/talkmesh/v1/session.proto


export interface ResumeSessionRequest {
  'sessionId'?: (string);
}

export interface ResumeSessionRequest__Output {
  'sessionId': (string);
}
