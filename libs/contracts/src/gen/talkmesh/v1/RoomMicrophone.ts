// Original file: protos/talkmesh/v1/stage.proto


export interface RoomMicrophone {
  'url'?: (string);
  'token'?: (string);
  'identity'?: (string);
  'attributes'?: ({[key: string]: string});
  'avatar'?: (string);
}

export interface RoomMicrophone__Output {
  'url': (string);
  'token': (string);
  'identity': (string);
  'attributes': ({[key: string]: string});
  'avatar': (string);
}
