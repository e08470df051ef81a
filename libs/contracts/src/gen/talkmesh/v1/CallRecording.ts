// Original file: protos/talkmesh/v1/stage.proto

import type { Long } from '@grpc/proto-loader';

export interface CallRecording {
  'sides'?: (string);
  'format'?: (string);
  'maxMs'?: (number | string | Long);
  'maxBytes'?: (number | string | Long);
  'owner'?: (string);
  'avatar'?: (string);
  'model'?: (string);
  'provider'?: (string);
}

export interface CallRecording__Output {
  'sides': (string);
  'format': (string);
  'maxMs': (number);
  'maxBytes': (number);
  'owner': (string);
  'avatar': (string);
  'model': (string);
  'provider': (string);
}
