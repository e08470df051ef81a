// Original file: protos/talkmesh/v1/session.proto


export interface DeleteRecordingRequest {
  'sessionId'?: (string);
}

export interface DeleteRecordingRequest__Output {
  'sessionId': (string);
}
