// Original file: protos/talkmesh/v1/stage.proto

import type { IngestOptions as _talkmesh_v1_IngestOptions, IngestOptions__Output as _talkmesh_v1_IngestOptions__Output } from '../../talkmesh/v1/IngestOptions.js';
import type { BridgeOptions as _talkmesh_v1_BridgeOptions, BridgeOptions__Output as _talkmesh_v1_BridgeOptions__Output } from '../../talkmesh/v1/BridgeOptions.js';
import type { ScoreOptions as _talkmesh_v1_ScoreOptions, ScoreOptions__Output as _talkmesh_v1_ScoreOptions__Output } from '../../talkmesh/v1/ScoreOptions.js';
import type { DecodeOptions as _talkmesh_v1_DecodeOptions, DecodeOptions__Output as _talkmesh_v1_DecodeOptions__Output } from '../../talkmesh/v1/DecodeOptions.js';
import type { EgressOptions as _talkmesh_v1_EgressOptions, EgressOptions__Output as _talkmesh_v1_EgressOptions__Output } from '../../talkmesh/v1/EgressOptions.js';

export interface OpenRequest {
  'sessionId'?: (string);
  'epoch'?: (number);
  'takeOver'?: (boolean);
  'instanceId'?: (string);
  'ingest'?: (_talkmesh_v1_IngestOptions | null);
  'bridge'?: (_talkmesh_v1_BridgeOptions | null);
  'score'?: (_talkmesh_v1_ScoreOptions | null);
  'decode'?: (_talkmesh_v1_DecodeOptions | null);
  'egress'?: (_talkmesh_v1_EgressOptions | null);
  'options'?: "ingest"|"bridge"|"score"|"decode"|"egress";
}

export interface OpenRequest__Output {
  'sessionId': (string);
  'epoch': (number);
  'takeOver': (boolean);
  'instanceId': (string);
  'ingest'?: (_talkmesh_v1_IngestOptions__Output | null);
  'bridge'?: (_talkmesh_v1_BridgeOptions__Output | null);
  'score'?: (_talkmesh_v1_ScoreOptions__Output | null);
  'decode'?: (_talkmesh_v1_DecodeOptions__Output | null);
  'egress'?: (_talkmesh_v1_EgressOptions__Output | null);
  'options'?: "ingest"|"bridge"|"score"|"decode"|"egress";
}
