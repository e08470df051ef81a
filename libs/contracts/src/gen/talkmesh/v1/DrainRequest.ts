// Original file: protos/talkmesh/v1/stage.proto


export interface DrainRequest {
  'deadlineMs'?: (number);
}

export interface DrainRequest__Output {
  'deadlineMs': (number);
}
