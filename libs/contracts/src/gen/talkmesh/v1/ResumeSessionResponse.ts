// Original file: protos/talkmesh/v1/session.proto


export interface ResumeSessionResponse {
  'resumed'?: (boolean);
}

export interface ResumeSessionResponse__Output {
  'resumed': (boolean);
}
