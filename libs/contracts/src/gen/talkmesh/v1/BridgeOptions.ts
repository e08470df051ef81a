// Original file: protos/talkmesh/v1/stage.proto

import type { ToolDefinition as _talkmesh_v1_ToolDefinition, ToolDefinition__Output as _talkmesh_v1_ToolDefinition__Output } from '../../talkmesh/v1/ToolDefinition.js';

export interface BridgeOptions {
  'provider'?: (string);
  'voice'?: (string);
  'instructions'?: (string);
  'language'?: (string);
  'tools'?: (_talkmesh_v1_ToolDefinition)[];
  'providerKey'?: (string);
  'ownKey'?: (boolean);
  'input'?: (string);
}

export interface BridgeOptions__Output {
  'provider': (string);
  'voice': (string);
  'instructions': (string);
  'language': (string);
  'tools': (_talkmesh_v1_ToolDefinition__Output)[];
  'providerKey': (string);
  'ownKey': (boolean);
  'input': (string);
}
