// Original file: protos/talkmesh/v1/media.proto

import type { AvatarReady as _talkmesh_v1_AvatarReady, AvatarReady__Output as _talkmesh_v1_AvatarReady__Output } from '../../talkmesh/v1/AvatarReady.js';
import type { UtteranceStarted as _talkmesh_v1_UtteranceStarted, UtteranceStarted__Output as _talkmesh_v1_UtteranceStarted__Output } from '../../talkmesh/v1/UtteranceStarted.js';
import type { UtteranceFinished as _talkmesh_v1_UtteranceFinished, UtteranceFinished__Output as _talkmesh_v1_UtteranceFinished__Output } from '../../talkmesh/v1/UtteranceFinished.js';
import type { AvatarCleared as _talkmesh_v1_AvatarCleared, AvatarCleared__Output as _talkmesh_v1_AvatarCleared__Output } from '../../talkmesh/v1/AvatarCleared.js';
import type { AvatarFrame as _talkmesh_v1_AvatarFrame, AvatarFrame__Output as _talkmesh_v1_AvatarFrame__Output } from '../../talkmesh/v1/AvatarFrame.js';

export interface AvatarResponse {
  'ready'?: (_talkmesh_v1_AvatarReady | null);
  'started'?: (_talkmesh_v1_UtteranceStarted | null);
  'finished'?: (_talkmesh_v1_UtteranceFinished | null);
  'cleared'?: (_talkmesh_v1_AvatarCleared | null);
  'frame'?: (_talkmesh_v1_AvatarFrame | null);
  'body'?: "ready"|"started"|"finished"|"cleared"|"frame";
}

export interface AvatarResponse__Output {
  'ready'?: (_talkmesh_v1_AvatarReady__Output | null);
  'started'?: (_talkmesh_v1_UtteranceStarted__Output | null);
  'finished'?: (_talkmesh_v1_UtteranceFinished__Output | null);
  'cleared'?: (_talkmesh_v1_AvatarCleared__Output | null);
  'frame'?: (_talkmesh_v1_AvatarFrame__Output | null);
  'body'?: "ready"|"started"|"finished"|"cleared"|"frame";
}
