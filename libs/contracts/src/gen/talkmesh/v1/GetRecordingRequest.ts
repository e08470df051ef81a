// Original file: protos/talkmesh/v1/session.proto


export interface GetRecordingRequest {
  'sessionId'?: (string);
}

export interface GetRecordingRequest__Output {
  'sessionId': (string);
}
