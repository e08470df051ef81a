/**
 * `connected`: joined, and media flows. `disconnected`: the connection is lost and being restored. `failed`: the membership has ended, for
 * a `RoomEnd`.
 */
export type RoomState = 'connected' | 'disconnected' | 'failed';

/**
 * Why a membership ended. `removed`: by the server's API. `room-closed`: the room was deleted or closed. `replaced`: another participant
 * joined with the same identity. `refused`: the server does not accept the token. `unreachable`: no join succeeded within `rejoinMs`.
 */
export type RoomEnd = 'removed' | 'room-closed' | 'replaced' | 'refused' | 'unreachable';

/** Joins a room. The service defines `setup`. */
export interface RoomRequest<Setup> {
  /** ws:// or wss:// URL of the LiveKit server. */
  readonly url: string;
  /** Access token (JWT) for one identity in one room. */
  readonly token: string;
  /** How long joins are tried after the connection was lost, milliseconds. */
  readonly rejoinMs: number;
  /** How long `open` waits for the first join, whose failure it reports, milliseconds; 0: it does not wait, and `rejoinMs` holds. */
  readonly awaitJoinMs: number;
  readonly setup: Setup;
}

/** What every room sends besides the service's own messages. */
export type FromRoom<Out> =
  | { readonly type: 'token'; readonly token: string }
  /** Identities of the other participants, whenever they change. */
  | { readonly type: 'participants'; readonly identities: readonly string[] }
  | { readonly type: 'media'; readonly body: Out };
