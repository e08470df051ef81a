// Original file: protos/talkmesh/v1/session.proto

import type { Session as _talkmesh_v1_Session, Session__Output as _talkmesh_v1_Session__Output } from '../../talkmesh/v1/Session.js';

export interface ListSessionsResponse {
  'sessions'?: (_talkmesh_v1_Session)[];
}

export interface ListSessionsResponse__Output {
  'sessions': (_talkmesh_v1_Session__Output)[];
}
