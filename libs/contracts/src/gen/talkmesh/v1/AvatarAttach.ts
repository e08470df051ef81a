// Original file: protos/talkmesh/v1/media.proto

import type { VideoFormat as _talkmesh_v1_VideoFormat, VideoFormat__Output as _talkmesh_v1_VideoFormat__Output } from '../../talkmesh/v1/VideoFormat.js';

export interface AvatarAttach {
  'sessionId'?: (string);
  'sampleRateHz'?: (number);
  'channels'?: (number);
  'video'?: (_talkmesh_v1_VideoFormat);
  'utterances'?: (number);
}

export interface AvatarAttach__Output {
  'sessionId': (string);
  'sampleRateHz': (number);
  'channels': (number);
  'video': (_talkmesh_v1_VideoFormat__Output);
  'utterances': (number);
}
