// Original file: protos/talkmesh/v1/media.proto

export const VideoFormat = {
  VIDEO_FORMAT_UNSPECIFIED: 'VIDEO_FORMAT_UNSPECIFIED',
  VIDEO_FORMAT_JPEG: 'VIDEO_FORMAT_JPEG',
  VIDEO_FORMAT_I420: 'VIDEO_FORMAT_I420',
} as const;

export type VideoFormat =
  | 'VIDEO_FORMAT_UNSPECIFIED'
  | 0
  | 'VIDEO_FORMAT_JPEG'
  | 1
  | 'VIDEO_FORMAT_I420'
  | 2

export type VideoFormat__Output = typeof VideoFormat[keyof typeof VideoFormat]
