// Original file: protos/talkmesh/v1/session.proto

import type { Long } from '@grpc/proto-loader';

export interface SessionEvent {
  'type'?: (string);
  'sessionId'?: (string);
  'epoch'?: (number);
  'turn'?: (number);
  'atMs'?: (number | string | Long);
  'dataJson'?: (string);
  'id'?: (string);
}

export interface SessionEvent__Output {
  'type': (string);
  'sessionId': (string);
  'epoch': (number);
  'turn': (number);
  'atMs': (number);
  'dataJson': (string);
  'id': (string);
}
