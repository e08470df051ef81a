// Original file: protos/talkmesh/v1/session.proto

import type { SessionState as _talkmesh_v1_SessionState, SessionState__Output as _talkmesh_v1_SessionState__Output } from '../../talkmesh/v1/SessionState.js';
import type { LivekitMembership as _talkmesh_v1_LivekitMembership, LivekitMembership__Output as _talkmesh_v1_LivekitMembership__Output } from '../../talkmesh/v1/LivekitMembership.js';
import type { Disclosure as _talkmesh_v1_Disclosure, Disclosure__Output as _talkmesh_v1_Disclosure__Output } from '../../talkmesh/v1/Disclosure.js';
import type { RecordingOptions as _talkmesh_v1_RecordingOptions, RecordingOptions__Output as _talkmesh_v1_RecordingOptions__Output } from '../../talkmesh/v1/RecordingOptions.js';
import type { Long } from '@grpc/proto-loader';

export interface Session {
  'id'?: (string);
  'state'?: (_talkmesh_v1_SessionState);
  'avatar'?: (string);
  'provider'?: (string);
  'createdAtMs'?: (number | string | Long);
  'placement'?: ({[key: string]: string});
  'livekit'?: (_talkmesh_v1_LivekitMembership | null);
  'disclosure'?: (_talkmesh_v1_Disclosure | null);
  'recording'?: (_talkmesh_v1_RecordingOptions | null);
  'quality'?: (string);
  'size'?: (number);
}

export interface Session__Output {
  'id': (string);
  'state': (_talkmesh_v1_SessionState__Output);
  'avatar': (string);
  'provider': (string);
  'createdAtMs': (number);
  'placement': ({[key: string]: string});
  'livekit': (_talkmesh_v1_LivekitMembership__Output | null);
  'disclosure': (_talkmesh_v1_Disclosure__Output | null);
  'recording': (_talkmesh_v1_RecordingOptions__Output | null);
  'quality': (string);
  'size': (number);
}
