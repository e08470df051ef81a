// Original file: protos/talkmesh/v1/stage.proto

import type { LivekitRoom as _talkmesh_v1_LivekitRoom, LivekitRoom__Output as _talkmesh_v1_LivekitRoom__Output } from '../../talkmesh/v1/LivekitRoom.js';
import type { Disclosure as _talkmesh_v1_Disclosure, Disclosure__Output as _talkmesh_v1_Disclosure__Output } from '../../talkmesh/v1/Disclosure.js';
import type { CallRecording as _talkmesh_v1_CallRecording, CallRecording__Output as _talkmesh_v1_CallRecording__Output } from '../../talkmesh/v1/CallRecording.js';

// Original file: protos/talkmesh/v1/stage.proto

export const _talkmesh_v1_EgressOptions_Sink = {
  SINK_UNSPECIFIED: 'SINK_UNSPECIFIED',
  SINK_WEBRTC: 'SINK_WEBRTC',
  SINK_RECORD: 'SINK_RECORD',
  SINK_LIVEKIT: 'SINK_LIVEKIT',
  SINK_FRAMES: 'SINK_FRAMES',
} as const;

export type _talkmesh_v1_EgressOptions_Sink =
  | 'SINK_UNSPECIFIED'
  | 0
  | 'SINK_WEBRTC'
  | 1
  | 'SINK_RECORD'
  | 2
  | 'SINK_LIVEKIT'
  | 3
  | 'SINK_FRAMES'
  | 4

export type _talkmesh_v1_EgressOptions_Sink__Output = typeof _talkmesh_v1_EgressOptions_Sink[keyof typeof _talkmesh_v1_EgressOptions_Sink]

export interface EgressOptions {
  'sink'?: (_talkmesh_v1_EgressOptions_Sink);
  'width'?: (number);
  'height'?: (number);
  'fps'?: (number);
  'livekit'?: (_talkmesh_v1_LivekitRoom | null);
  'disclosure'?: (_talkmesh_v1_Disclosure | null);
  'recording'?: (_talkmesh_v1_CallRecording | null);
}

export interface EgressOptions__Output {
  'sink': (_talkmesh_v1_EgressOptions_Sink__Output);
  'width': (number);
  'height': (number);
  'fps': (number);
  'livekit': (_talkmesh_v1_LivekitRoom__Output | null);
  'disclosure': (_talkmesh_v1_Disclosure__Output | null);
  'recording': (_talkmesh_v1_CallRecording__Output | null);
}
