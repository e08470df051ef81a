// Original file: protos/talkmesh/v1/media.proto


export interface PauseRequest {
  'sessionId'?: (string);
}

export interface PauseRequest__Output {
  'sessionId': (string);
}
