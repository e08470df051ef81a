// Original file: protos/talkmesh/v1/stage.proto


export interface DrainResponse {
  'sessionsLeft'?: (number);
}

export interface DrainResponse__Output {
  'sessionsLeft': (number);
}
