// Original file: protos/talkmesh/v1/media.proto

import type { Long } from '@grpc/proto-loader';

export interface StreamAudioResponse {
  'samples'?: (number | string | Long);
  'seconds'?: (number | string);
}

export interface StreamAudioResponse__Output {
  'samples': (number);
  'seconds': (number);
}
