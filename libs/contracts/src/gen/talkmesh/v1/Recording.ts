// Original file: protos/talkmesh/v1/session.proto

import type { RecordingPart as _talkmesh_v1_RecordingPart, RecordingPart__Output as _talkmesh_v1_RecordingPart__Output } from '../../talkmesh/v1/RecordingPart.js';
import type { Long } from '@grpc/proto-loader';

export interface Recording {
  'sessionId'?: (string);
  'state'?: (string);
  'createdAtMs'?: (number | string | Long);
  'expiresAtMs'?: (number | string | Long);
  'parts'?: (_talkmesh_v1_RecordingPart)[];
}

export interface Recording__Output {
  'sessionId': (string);
  'state': (string);
  'createdAtMs': (number);
  'expiresAtMs': (number);
  'parts': (_talkmesh_v1_RecordingPart__Output)[];
}
