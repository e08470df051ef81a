// Original file: protos/talkmesh/v1/media.proto


export interface ResumeResponse {
  'resumed'?: (boolean);
}

export interface ResumeResponse__Output {
  'resumed': (boolean);
}
