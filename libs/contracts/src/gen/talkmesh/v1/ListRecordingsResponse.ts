// Original file: protos/talkmesh/v1/session.proto

import type { Recording as _talkmesh_v1_Recording, Recording__Output as _talkmesh_v1_Recording__Output } from '../../talkmesh/v1/Recording.js';

export interface ListRecordingsResponse {
  'recordings'?: (_talkmesh_v1_Recording)[];
  'nextCursor'?: (string);
}

export interface ListRecordingsResponse__Output {
  'recordings': (_talkmesh_v1_Recording__Output)[];
  'nextCursor': (string);
}
