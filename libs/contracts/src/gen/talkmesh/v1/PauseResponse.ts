// Original file: protos/talkmesh/v1/media.proto


export interface PauseResponse {
  'paused'?: (boolean);
}

export interface PauseResponse__Output {
  'paused': (boolean);
}
