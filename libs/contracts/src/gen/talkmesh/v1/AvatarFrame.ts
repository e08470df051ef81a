// Original file: protos/talkmesh/v1/media.proto

import type { VideoFormat as _talkmesh_v1_VideoFormat, VideoFormat__Output as _talkmesh_v1_VideoFormat__Output } from '../../talkmesh/v1/VideoFormat.js';
import type { Long } from '@grpc/proto-loader';

export interface AvatarFrame {
  'mediaTimeUs'?: (number | string | Long);
  'width'?: (number);
  'height'?: (number);
  'format'?: (_talkmesh_v1_VideoFormat);
  'video'?: (Buffer | Uint8Array | string);
  'pcm'?: (Buffer | Uint8Array | string);
  'speaking'?: (boolean);
}

export interface AvatarFrame__Output {
  'mediaTimeUs': (number);
  'width': (number);
  'height': (number);
  'format': (_talkmesh_v1_VideoFormat__Output);
  'video': (Buffer);
  'pcm': (Buffer);
  'speaking': (boolean);
}
