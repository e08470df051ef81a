// Original file: protos/talkmesh/v1/media.proto

import type { AvatarAttach as _talkmesh_v1_AvatarAttach, AvatarAttach__Output as _talkmesh_v1_AvatarAttach__Output } from '../../talkmesh/v1/AvatarAttach.js';
import type { AvatarEnd as _talkmesh_v1_AvatarEnd, AvatarEnd__Output as _talkmesh_v1_AvatarEnd__Output } from '../../talkmesh/v1/AvatarEnd.js';
import type { AvatarClear as _talkmesh_v1_AvatarClear, AvatarClear__Output as _talkmesh_v1_AvatarClear__Output } from '../../talkmesh/v1/AvatarClear.js';
import type { AvatarLeave as _talkmesh_v1_AvatarLeave, AvatarLeave__Output as _talkmesh_v1_AvatarLeave__Output } from '../../talkmesh/v1/AvatarLeave.js';

export interface AvatarRequest {
  'attach'?: (_talkmesh_v1_AvatarAttach | null);
  'pcm'?: (Buffer | Uint8Array | string);
  'end'?: (_talkmesh_v1_AvatarEnd | null);
  'clear'?: (_talkmesh_v1_AvatarClear | null);
  'leave'?: (_talkmesh_v1_AvatarLeave | null);
  'body'?: "attach"|"pcm"|"end"|"clear"|"leave";
}

export interface AvatarRequest__Output {
  'attach'?: (_talkmesh_v1_AvatarAttach__Output | null);
  'pcm'?: (Buffer);
  'end'?: (_talkmesh_v1_AvatarEnd__Output | null);
  'clear'?: (_talkmesh_v1_AvatarClear__Output | null);
  'leave'?: (_talkmesh_v1_AvatarLeave__Output | null);
  'body'?: "attach"|"pcm"|"end"|"clear"|"leave";
}
