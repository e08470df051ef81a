// Original file: protos/talkmesh/v1/media.proto

import type { Long } from '@grpc/proto-loader';

export interface RecordRequest {
  'sessionId'?: (string);
  'stopAfterFrames'?: (number | string | Long);
}

export interface RecordRequest__Output {
  'sessionId': (string);
  'stopAfterFrames': (number);
}
