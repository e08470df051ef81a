// Original file: protos/talkmesh/v1/media.proto

import type { Long } from '@grpc/proto-loader';

export interface RecordedFrame {
  'index'?: (number | string | Long);
  'epoch'?: (number);
  'chunk'?: (number);
  'mediaTimeUs'?: (number | string | Long);
  'width'?: (number);
  'height'?: (number);
  'i420'?: (Buffer | Uint8Array | string);
  'pcm'?: (Buffer | Uint8Array | string);
  'speaking'?: (boolean);
}

export interface RecordedFrame__Output {
  'index': (number);
  'epoch': (number);
  'chunk': (number);
  'mediaTimeUs': (number);
  'width': (number);
  'height': (number);
  'i420': (Buffer);
  'pcm': (Buffer);
  'speaking': (boolean);
}
