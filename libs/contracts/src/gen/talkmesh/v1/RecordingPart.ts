// Original file: protos/talkmesh/v1/session.proto

import type { Long } from '@grpc/proto-loader';

export interface RecordingPart {
  'part'?: (number);
  'state'?: (string);
  'type'?: (string);
  'bytes'?: (number | string | Long);
  'durationMs'?: (number | string | Long);
  'sha256'?: (string);
  'manifestJson'?: (string);
}

export interface RecordingPart__Output {
  'part': (number);
  'state': (string);
  'type': (string);
  'bytes': (number);
  'durationMs': (number);
  'sha256': (string);
  'manifestJson': (string);
}
