// Original file: protos/talkmesh/v1/session.proto


export interface LivekitMicrophone {
  'identity'?: (string);
  'attributes'?: ({[key: string]: string});
  'token'?: (string);
}

export interface LivekitMicrophone__Output {
  'identity': (string);
  'attributes': ({[key: string]: string});
  'token': (string);
}
