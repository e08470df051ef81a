// Original file: protos/talkmesh/v1/session.proto


export interface LivekitMembership {
  'url'?: (string);
  'room'?: (string);
  'identity'?: (string);
}

export interface LivekitMembership__Output {
  'url': (string);
  'room': (string);
  'identity': (string);
}
