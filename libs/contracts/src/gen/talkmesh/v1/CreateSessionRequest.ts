// Original file: protos/talkmesh/v1/session.proto

import type { ToolDefinition as _talkmesh_v1_ToolDefinition, ToolDefinition__Output as _talkmesh_v1_ToolDefinition__Output } from '../../talkmesh/v1/ToolDefinition.js';
import type { LivekitTransport as _talkmesh_v1_LivekitTransport, LivekitTransport__Output as _talkmesh_v1_LivekitTransport__Output } from '../../talkmesh/v1/LivekitTransport.js';
import type { RecordingOptions as _talkmesh_v1_RecordingOptions, RecordingOptions__Output as _talkmesh_v1_RecordingOptions__Output } from '../../talkmesh/v1/RecordingOptions.js';
import type { Long } from '@grpc/proto-loader';

export interface CreateSessionRequest {
  'avatar'?: (string);
  'provider'?: (string);
  'seed'?: (number | string | Long);
  'output'?: (string);
  'voice'?: (string);
  'instructions'?: (string);
  'language'?: (string);
  'tools'?: (_talkmesh_v1_ToolDefinition)[];
  'providerKey'?: (string);
  'livekit'?: (_talkmesh_v1_LivekitTransport | null);
  'maxSeconds'?: (number);
  'idleSeconds'?: (number);
  'origins'?: (string)[];
  'input'?: (string);
  'badge'?: (boolean);
  'recording'?: (_talkmesh_v1_RecordingOptions | null);
  'quality'?: (string);
  'size'?: (number);
}

export interface CreateSessionRequest__Output {
  'avatar': (string);
  'provider': (string);
  'seed': (number);
  'output': (string);
  'voice': (string);
  'instructions': (string);
  'language': (string);
  'tools': (_talkmesh_v1_ToolDefinition__Output)[];
  'providerKey': (string);
  'livekit': (_talkmesh_v1_LivekitTransport__Output | null);
  'maxSeconds': (number);
  'idleSeconds': (number);
  'origins': (string)[];
  'input': (string);
  'badge': (boolean);
  'recording': (_talkmesh_v1_RecordingOptions__Output | null);
  'quality': (string);
  'size': (number);
}
