// Original file: protos/talkmesh/v1/media.proto


export interface SayResponse {
  'turn'?: (number);
  'cancelled'?: (boolean);
}

export interface SayResponse__Output {
  'turn': (number);
  'cancelled': (boolean);
}
