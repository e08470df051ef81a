// Original file: protos/talkmesh/v1/session.proto


export interface DownloadRecordingRequest {
  'sessionId'?: (string);
  'part'?: (number);
}

export interface DownloadRecordingRequest__Output {
  'sessionId': (string);
  'part': (number);
}
