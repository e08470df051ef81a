// Original file: protos/talkmesh/v1/session.proto

import type { LivekitMicrophone as _talkmesh_v1_LivekitMicrophone, LivekitMicrophone__Output as _talkmesh_v1_LivekitMicrophone__Output } from '../../talkmesh/v1/LivekitMicrophone.js';

export interface LivekitTransport {
  'url'?: (string);
  'token'?: (string);
  'room'?: (string);
  'identity'?: (string);
  'agent'?: (string);
  'microphone'?: (_talkmesh_v1_LivekitMicrophone | null);
}

export interface LivekitTransport__Output {
  'url': (string);
  'token': (string);
  'room': (string);
  'identity': (string);
  'agent': (string);
  'microphone': (_talkmesh_v1_LivekitMicrophone__Output | null);
}
