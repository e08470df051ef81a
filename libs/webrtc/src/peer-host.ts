import { MeshError } from '@talkmesh/contracts';
import type { RtcConfig } from './config.js';
import { ConnectionHost, type ConnectionHostOptions, type ConnectionListener } from './connection-host.js';
import { parseIceFragment } from './ice-fragment.js';
import { IceServers } from './ice-servers.js';
import type { IceChange, PeerReply, PeerRequest, PeerSettings, PeerState } from './protocol.js';
import { RemoteCandidates } from './remote-candidates.js';

/** Receives what happens to one peer connection. */
export type PeerListener<Out> = ConnectionListener<PeerState, Out>;

export interface PeerHostOptions extends Omit<ConnectionHostOptions, 'needs' | 'gauge'> {
  /** `grpcHost`: where the service listens, which decides the default of `rtcRemoteNetworks`. The module calls `servePeers`. */
  readonly config: RtcConfig & { readonly grpcHost?: string };
}

/**
 * Peer connections that answer offers, in a child process. `Setup` is sent when a peer is opened, `In` are messages to a peer, `Out`
 * messages from it.
 */
export class PeerHost<Setup, In, Out> implements AsyncDisposable {
  readonly #options: PeerHostOptions;
  readonly #ice: IceServers;
  readonly #remote: RemoteCandidates;
  readonly #host: ConnectionHost<PeerRequest<Setup>, PeerReply, PeerState, In, Out, IceChange>;

  /** Resolves when the child has started. @throws MeshError CONFIG_INVALID: the TURN password cannot be read; TOOL_MISSING: it does not start */
  static async start<Setup, In, Out>(options: PeerHostOptions): Promise<PeerHost<Setup, In, Out>> {
    const ice = IceServers.load(options.config);
    const gauge = options.metrics.gauge('talkmesh_peers', 'Peer connections held by the WebRTC child process');
    const host = await ConnectionHost.start<PeerRequest<Setup>, PeerReply, PeerState, In, Out, IceChange>({
      ...options,
      needs: '@roamhq/wrtc',
      gauge,
    });
    return new PeerHost<Setup, In, Out>(options, ice, host);
  }

  private constructor(
    options: PeerHostOptions,
    ice: IceServers,
    host: ConnectionHost<PeerRequest<Setup>, PeerReply, PeerState, In, Out, IceChange>,
  ) {
    this.#options = options;
    this.#ice = ice;
    this.#host = host;
    this.#remote = new RemoteCandidates(remoteNetworks(options.config));
  }

  /** Process id of the child, undefined while it is down. */
  get pid(): number | undefined {
    return this.#host.pid;
  }

  /**
   * Answers an offer.
   * @throws MeshError SDP_INVALID, SDP_TIMEOUT, SESSION_LIMIT (no port is free), PEER_LOST (the child crashed; try again)
   */
  async open(peerId: string, sdp: string, setup: Setup, listener: PeerListener<Out>): Promise<string> {
    const { rtcAnswerMs } = this.#options.config;
    const request = { sdp: this.#remote.filter(sdp), settings: this.#settingsFor(peerId), setup };
    return this.#answered(this.#host.open(peerId, request, listener, { deadlineMs: rtcAnswerMs }));
  }

  /**
   * Trickle ICE and ICE restart (RFC 9725, 4.3).
   * @param ifMatch If-Match header
   * @param text application/trickle-ice-sdpfrag
   * @returns the server's part of a restart; empty when candidates were added
   * @throws MeshError NOT_FOUND (the peer is closed), ICE_SESSION_CHANGED, and as `open`
   */
  async ice(peerId: string, ifMatch: string, text: string): Promise<string> {
    const { credentials, candidates } = parseIceFragment(text);
    const fragment = {
      credentials,
      candidates: candidates.filter(({ candidate }) => this.#remote.mayProbe(candidate)),
    };
    const { rtcAnswerMs } = this.#options.config;
    return this.#answered(this.#host.change(peerId, { ifMatch, fragment }, { deadlineMs: rtcAnswerMs }));
  }

  async #answered(reply: Promise<PeerReply>): Promise<string> {
    try {
      return (await reply).sdp;
    } catch (thrown) {
      const error = MeshError.from(thrown);
      if (error.reason === 'INTERNAL') throw this.#refused(error);
      if (error.reason !== 'DEADLINE_EXCEEDED') throw error;
      const { rtcAnswerMs } = this.#options.config;
      throw new MeshError('SDP_TIMEOUT', `no answer within ${rtcAnswerMs} ms; send the offer again`, { cause: thrown });
    }
  }

  /** Sends a message to a peer. Returns false when the child is down or its queue is full. */
  post(peerId: string, body: In): boolean {
    return this.#host.post(peerId, body);
  }

  /** Closes a peer. An unknown peer is already closed, so that is no error. */
  close(peerId: string): Promise<void> {
    return this.#host.close(peerId);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#host[Symbol.asyncDispose]();
  }

  #settingsFor(peerId: string): PeerSettings {
    const { config } = this.#options;
    return {
      portMin: config.rtcPortMin,
      portMax: config.rtcPortMax,
      advertise: config.rtcAdvertise,
      gatherMs: config.rtcGatherMs,
      iceServers: this.#ice.own(peerId),
      relayOnly: config.iceRelayOnly,
    };
  }

  /** Native code refused the offer. Its own words help only those who read the log. */
  #refused(error: MeshError): MeshError {
    this.#options.log.warn({ child: this.#options.name, detail: error.message }, 'WebRTC refused an offer');
    return new MeshError(
      'SDP_INVALID',
      'the offer contradicts itself or lacks what WebRTC needs (BUNDLE, rtcp-mux, DTLS); send the description that the peer connection made, unchanged',
      { cause: error },
    );
  }
}

/** On a service that only this host reaches, callers are on this host or its network. */
function remoteNetworks({ rtcRemoteNetworks, grpcHost = '' }: PeerHostOptions['config']): readonly string[] {
  if (rtcRemoteNetworks.length > 0) return rtcRemoteNetworks;
  return /^(127\.|::1$|localhost$)/.test(grpcHost) ? ['loopback', 'private'] : [];
}
