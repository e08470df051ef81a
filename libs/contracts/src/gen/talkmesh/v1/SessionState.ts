// Original file: protos/talkmesh/v1/session.proto

export const SessionState = {
  SESSION_STATE_UNSPECIFIED: 'SESSION_STATE_UNSPECIFIED',
  SESSION_STATE_OPENING: 'SESSION_STATE_OPENING',
  SESSION_STATE_OPEN: 'SESSION_STATE_OPEN',
  SESSION_STATE_ENDED: 'SESSION_STATE_ENDED',
} as const;

export type SessionState =
  | 'SESSION_STATE_UNSPECIFIED'
  | 0
  | 'SESSION_STATE_OPENING'
  | 1
  | 'SESSION_STATE_OPEN'
  | 2
  | 'SESSION_STATE_ENDED'
  | 3

export type SessionState__Output = typeof SessionState[keyof typeof SessionState]
