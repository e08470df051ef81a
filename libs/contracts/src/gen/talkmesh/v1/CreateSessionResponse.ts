// Original file: protos/talkmesh/v1/session.proto

import type { Session as _talkmesh_v1_Session, Session__Output as _talkmesh_v1_Session__Output } from '../../talkmesh/v1/Session.js';
import type { Long } from '@grpc/proto-loader';

export interface CreateSessionResponse {
  'session'?: (_talkmesh_v1_Session | null);
  'token'?: (string);
  'tokenExpiresAtMs'?: (number | string | Long);
}

export interface CreateSessionResponse__Output {
  'session': (_talkmesh_v1_Session__Output | null);
  'token': (string);
  'tokenExpiresAtMs': (number);
}
