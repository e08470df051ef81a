// Original file: protos/talkmesh/v1/stage.proto

export const WorkerState = {
  WORKER_STATE_UNSPECIFIED: 'WORKER_STATE_UNSPECIFIED',
  WORKER_STATE_WARMING: 'WORKER_STATE_WARMING',
  WORKER_STATE_READY: 'WORKER_STATE_READY',
  WORKER_STATE_DRAINING: 'WORKER_STATE_DRAINING',
} as const;

export type WorkerState =
  | 'WORKER_STATE_UNSPECIFIED'
  | 0
  | 'WORKER_STATE_WARMING'
  | 1
  | 'WORKER_STATE_READY'
  | 2
  | 'WORKER_STATE_DRAINING'
  | 3

export type WorkerState__Output = typeof WorkerState[keyof typeof WorkerState]
