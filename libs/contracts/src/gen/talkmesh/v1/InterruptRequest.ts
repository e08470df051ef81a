// Original file: protos/talkmesh/v1/media.proto


export interface InterruptRequest {
  'sessionId'?: (string);
}

export interface InterruptRequest__Output {
  'sessionId': (string);
}
