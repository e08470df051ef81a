// Original file: protos/talkmesh/v1/media.proto


export interface StartInputResponse {
  'started'?: (boolean);
}

export interface StartInputResponse__Output {
  'started': (boolean);
}
