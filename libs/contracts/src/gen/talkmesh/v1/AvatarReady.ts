// Original file: protos/talkmesh/v1/media.proto

import type { Long } from '@grpc/proto-loader';

export interface AvatarReady {
  'utterances'?: (number);
  'isOpen'?: (boolean);
  'openBytes'?: (number | string | Long);
  'graceMs'?: (number);
  'width'?: (number);
  'height'?: (number);
  'fps'?: (number);
  'hasFrames'?: (boolean);
  'resumed'?: (boolean);
  'unfinished'?: (number)[];
}

export interface AvatarReady__Output {
  'utterances': (number);
  'isOpen': (boolean);
  'openBytes': (number);
  'graceMs': (number);
  'width': (number);
  'height': (number);
  'fps': (number);
  'hasFrames': (boolean);
  'resumed': (boolean);
  'unfinished': (number)[];
}
