// Original file: protos/talkmesh/v1/media.proto


export interface SayRequest {
  'sessionId'?: (string);
  'text'?: (string);
}

export interface SayRequest__Output {
  'sessionId': (string);
  'text': (string);
}
