// Original file: protos/talkmesh/v1/stage.proto

import type { Long } from '@grpc/proto-loader';

export interface SessionStats {
  'sessionId'?: (string);
  'epoch'?: (number);
  'chunk'?: (number);
  'itemsIn'?: (number | string | Long);
  'itemsOut'?: (number | string | Long);
  'dropped'?: (number | string | Long);
  'p50Ms'?: (number | string);
  'p95Ms'?: (number | string);
  'late'?: (number | string | Long);
  'paused'?: (boolean);
  'streamSamples'?: (number | string | Long);
}

export interface SessionStats__Output {
  'sessionId': (string);
  'epoch': (number);
  'chunk': (number);
  'itemsIn': (number);
  'itemsOut': (number);
  'dropped': (number);
  'p50Ms': (number);
  'p95Ms': (number);
  'late': (number);
  'paused': (boolean);
  'streamSamples': (number);
}
