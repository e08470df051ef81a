// Original file: protos/talkmesh/v1/session.proto


export interface StopRecordingRequest {
  'sessionId'?: (string);
}

export interface StopRecordingRequest__Output {
  'sessionId': (string);
}
