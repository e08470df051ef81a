// Original file: protos/talkmesh/v1/session.proto


export interface SaySessionResponse {
  'turn'?: (number);
}

export interface SaySessionResponse__Output {
  'turn': (number);
}
