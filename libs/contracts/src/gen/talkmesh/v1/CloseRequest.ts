// Original file: protos/talkmesh/v1/stage.proto


export interface CloseRequest {
  'sessionId'?: (string);
  'reason'?: (string);
}

export interface CloseRequest__Output {
  'sessionId': (string);
  'reason': (string);
}
