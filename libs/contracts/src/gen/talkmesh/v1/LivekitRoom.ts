// Original file: protos/talkmesh/v1/stage.proto


export interface LivekitRoom {
  'url'?: (string);
  'token'?: (string);
  'agent'?: (string);
}

export interface LivekitRoom__Output {
  'url': (string);
  'token': (string);
  'agent': (string);
}
