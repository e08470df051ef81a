import type { IceFragment } from './ice-fragment.js';
import type { IceServer } from './ice-servers.js';

/** The states of RTCPeerConnection; `new` is reported as `connecting`. */
export type PeerState = 'connecting' | 'connected' | 'disconnected' | 'failed' | 'closed';

export interface PeerSettings {
  readonly portMin: number;
  readonly portMax: number;
  readonly advertise: readonly string[];
  readonly gatherMs: number;
  readonly iceServers: readonly IceServer[];
  readonly relayOnly: boolean;
}

/** Service to child; the child answers all but `message`. The kind of connection defines `request` and `change`, the service `body`. */
export type ToConnectionChild<Open, In, Change = never> =
  | { readonly op: 'open'; readonly id: string; readonly request: Open }
  | { readonly op: 'change'; readonly id: string; readonly change: Change }
  | { readonly op: 'close'; readonly id: string }
  | { readonly op: 'ping' }
  | { readonly op: 'message'; readonly id: string; readonly body: In };

/** Child to service. A connection is over after the state `failed` or `closed`. */
export type FromConnectionChild<State, Out> =
  | { readonly kind: 'state'; readonly id: string; readonly state: State; readonly cause?: string }
  | { readonly kind: 'message'; readonly id: string; readonly body: Out };

/** Opens a peer connection. The service defines `setup`. */
export interface PeerRequest<Setup> {
  readonly sdp: string;
  readonly settings: PeerSettings;
  readonly setup: Setup;
}

/** Adds the caller's candidates, or restarts ICE when it has new credentials. */
export interface IceChange {
  /** If-Match header: the tag of the ICE session that the caller means, or `*`. */
  readonly ifMatch: string;
  readonly fragment: IceFragment;
}

/** The SDP answer in reply to `open`, the ICE fragment in reply to a restart; empty in every other reply. */
export interface PeerReply {
  readonly sdp: string;
}

export type ToPeerChild<Setup, In> = ToConnectionChild<PeerRequest<Setup>, In, IceChange>;
export type FromPeerChild<Out> = FromConnectionChild<PeerState, Out>;
