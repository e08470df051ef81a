// Original file: protos/talkmesh/v1/media.proto


export interface CommitInputRequest {
  'sessionId'?: (string);
}

export interface CommitInputRequest__Output {
  'sessionId': (string);
}
