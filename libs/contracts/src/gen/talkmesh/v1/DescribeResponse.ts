// Original file: protos/talkmesh/v1/stage.proto

import type { WorkerState as _talkmesh_v1_WorkerState, WorkerState__Output as _talkmesh_v1_WorkerState__Output } from '../../talkmesh/v1/WorkerState.js';

export interface DescribeResponse {
  'service'?: (string);
  'instanceId'?: (string);
  'version'?: (string);
  'state'?: (_talkmesh_v1_WorkerState);
  'sessions'?: (number);
  'capacity'?: (number);
  'model'?: (string);
}

export interface DescribeResponse__Output {
  'service': (string);
  'instanceId': (string);
  'version': (string);
  'state': (_talkmesh_v1_WorkerState__Output);
  'sessions': (number);
  'capacity': (number);
  'model': (string);
}
