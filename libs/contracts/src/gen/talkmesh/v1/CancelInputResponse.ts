// Original file: protos/talkmesh/v1/media.proto


export interface CancelInputResponse {
  'cancelled'?: (boolean);
}

export interface CancelInputResponse__Output {
  'cancelled': (boolean);
}
