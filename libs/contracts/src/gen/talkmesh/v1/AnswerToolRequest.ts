// Original file: protos/talkmesh/v1/media.proto


export interface AnswerToolRequest {
  'sessionId'?: (string);
  'callId'?: (string);
  'output'?: (string);
}

export interface AnswerToolRequest__Output {
  'sessionId': (string);
  'callId': (string);
  'output': (string);
}
