// Original file: protos/talkmesh/v1/media.proto


export interface SayResponse {
  'turn'?: (number);
}

export interface SayResponse__Output {
  'turn': (number);
}
