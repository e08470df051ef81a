/** Standard connection states, `new` and `connecting` as one. */
export type PeerState = 'connecting' | 'connected' | 'disconnected' | 'failed' | 'closed';

/** What a child needs to know to make peer connections. */
export interface PeerSettings {
  readonly portMin: number;
  readonly portMax: number;
  readonly advertise: readonly string[];
  readonly gatherMs: number;
  readonly iceServers: readonly {
    readonly urls: readonly string[];
    readonly username?: string;
    readonly credential?: string;
  }[];
}

/** Service to child. `setup` and `body` belong to the service. */
export type ToPeerChild<Setup, In> =
  | {
      readonly op: 'open';
      readonly peerId: string;
      readonly sdp: string;
      readonly settings: PeerSettings;
      readonly setup: Setup;
    }
  | { readonly op: 'close'; readonly peerId: string }
  | { readonly op: 'ping' }
  | { readonly op: 'message'; readonly peerId: string; readonly body: In };

/** Reply to `open`: the answer; empty to everything else. */
export interface PeerReply {
  readonly sdp: string;
}

/** Child to service. */
export type FromPeerChild<Out> =
  | { readonly kind: 'state'; readonly peerId: string; readonly state: PeerState }
  | { readonly kind: 'message'; readonly peerId: string; readonly body: Out };
