// Original file: protos/talkmesh/v1/stage.proto

import type { SessionStats as _talkmesh_v1_SessionStats, SessionStats__Output as _talkmesh_v1_SessionStats__Output } from '../../talkmesh/v1/SessionStats.js';

export interface StatsResponse {
  'sessions'?: (_talkmesh_v1_SessionStats)[];
}

export interface StatsResponse__Output {
  'sessions': (_talkmesh_v1_SessionStats__Output)[];
}
