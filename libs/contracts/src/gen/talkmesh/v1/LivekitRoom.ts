// Original file: protos/talkmesh/v1/stage.proto


export interface LivekitRoom {
  'url'?: (string);
  'token'?: (string);
}

export interface LivekitRoom__Output {
  'url': (string);
  'token': (string);
}
