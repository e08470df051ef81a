// Original file: protos/talkmesh/v1/stage.proto

import type { Long } from '@grpc/proto-loader';

export interface ScoreOptions {
  'avatar'?: (string);
  'seed'?: (number | string | Long);
  'unpaced'?: (boolean);
  'quality'?: (string);
}

export interface ScoreOptions__Output {
  'avatar': (string);
  'seed': (number);
  'unpaced': (boolean);
  'quality': (string);
}
