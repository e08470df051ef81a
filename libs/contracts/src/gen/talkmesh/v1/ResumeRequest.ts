// Original file: protos/talkmesh/v1/media.proto


export interface ResumeRequest {
  'sessionId'?: (string);
}

export interface ResumeRequest__Output {
  'sessionId': (string);
}
