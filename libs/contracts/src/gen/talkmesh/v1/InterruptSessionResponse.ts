// Original file: protos/talkmesh/v1/session.proto


export interface InterruptSessionResponse {
  'interrupted'?: (boolean);
}

export interface InterruptSessionResponse__Output {
  'interrupted': (boolean);
}
