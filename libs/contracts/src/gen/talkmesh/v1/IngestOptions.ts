// Original file: protos/talkmesh/v1/stage.proto

import type { RoomMicrophone as _talkmesh_v1_RoomMicrophone, RoomMicrophone__Output as _talkmesh_v1_RoomMicrophone__Output } from '../../talkmesh/v1/RoomMicrophone.js';

export interface IngestOptions {
  'vad'?: (boolean);
  'room'?: (_talkmesh_v1_RoomMicrophone | null);
}

export interface IngestOptions__Output {
  'vad': (boolean);
  'room': (_talkmesh_v1_RoomMicrophone__Output | null);
}
