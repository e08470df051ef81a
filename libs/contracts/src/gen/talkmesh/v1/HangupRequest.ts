// Original file: protos/talkmesh/v1/media.proto


export interface HangupRequest {
  'sessionId'?: (string);
  'resourceId'?: (string);
}

export interface HangupRequest__Output {
  'sessionId': (string);
  'resourceId': (string);
}
