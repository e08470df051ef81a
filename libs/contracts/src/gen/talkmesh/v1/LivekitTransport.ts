// Original file: protos/talkmesh/v1/session.proto


export interface LivekitTransport {
  'url'?: (string);
  'token'?: (string);
  'room'?: (string);
  'identity'?: (string);
  'agent'?: (string);
}

export interface LivekitTransport__Output {
  'url': (string);
  'token': (string);
  'room': (string);
  'identity': (string);
  'agent': (string);
}
