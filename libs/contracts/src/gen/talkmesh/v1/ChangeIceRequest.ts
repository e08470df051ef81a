// Original file: protos/talkmesh/v1/media.proto


export interface ChangeIceRequest {
  'sessionId'?: (string);
  'resourceId'?: (string);
  'ifMatch'?: (string);
  'fragment'?: (string);
}

export interface ChangeIceRequest__Output {
  'sessionId': (string);
  'resourceId': (string);
  'ifMatch': (string);
  'fragment': (string);
}
