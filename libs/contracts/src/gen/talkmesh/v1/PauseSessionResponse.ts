// Original file: protos/talkmesh/v1/session.proto


export interface PauseSessionResponse {
  'paused'?: (boolean);
}

export interface PauseSessionResponse__Output {
  'paused': (boolean);
}
