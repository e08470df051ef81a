// Original file: protos/talkmesh/v1/session.proto

import type { Long } from '@grpc/proto-loader';

export interface CreateSessionRequest {
  'avatar'?: (string);
  'provider'?: (string);
  'seed'?: (number | string | Long);
  'output'?: (string);
}

export interface CreateSessionRequest__Output {
  'avatar': (string);
  'provider': (string);
  'seed': (number);
  'output': (string);
}
