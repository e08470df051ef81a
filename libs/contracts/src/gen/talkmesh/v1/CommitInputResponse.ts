// Original file: protos/talkmesh/v1/media.proto


export interface CommitInputResponse {
  'committed'?: (boolean);
}

export interface CommitInputResponse__Output {
  'committed': (boolean);
}
