import { type Http, pause, TalkMeshError } from './http.js';

export type CreatePeer = (configuration: RTCConfiguration) => RTCPeerConnection;

export interface PeerOptions {
  readonly http: Http;
  /** `/v1/whip/<id>` or `/v1/whep/<id>`. */
  readonly path: string;
  readonly bearer: () => string;
  readonly createPeer: CreatePeer;
  readonly iceServers: RTCIceServer[];
  /** Adds the tracks or transceivers before the offer is made. */
  readonly prepare: (pc: RTCPeerConnection) => void;
  /** How long ICE candidates are gathered before the offer is sent anyway, milliseconds. */
  readonly gatherMs: number;
  /** Longest time from the offer to the connected state, milliseconds. */
  readonly connectMs: number;
}

/** A negotiated connection and the URL of its resource on the server (Location header). */
export interface Peer {
  readonly pc: RTCPeerConnection;
  readonly resource: string;
}

function waitUntilGathered(pc: RTCPeerConnection, limitMs: number, signal: AbortSignal): Promise<void> {
  if (pc.iceGatheringState === 'complete') return Promise.resolve();
  const done = new Promise<void>((resolve) => {
    pc.addEventListener('icegatheringstatechange', () => {
      if (pc.iceGatheringState === 'complete') resolve();
    });
  });
  return Promise.race([done, pause(limitMs, signal)]);
}

function waitUntilConnected(pc: RTCPeerConnection, limitMs: number, signal: AbortSignal): Promise<void> {
  const done = new Promise<void>((resolve, reject) => {
    const check = (): void => {
      if (pc.connectionState === 'connected') resolve();
      if (pc.connectionState === 'failed' || pc.connectionState === 'closed')
        reject(new TalkMeshError('PEER_LOST', 'The media connection could not be established.', { retryable: true }));
    };
    pc.addEventListener('connectionstatechange', check);
    check();
  });
  const timeout = pause(limitMs, signal).then(() => {
    throw new TalkMeshError(
      'SDP_TIMEOUT',
      'No media connection was established. A firewall may block UDP: allow it, or configure a TURN server in iceServers.',
      { retryable: true },
    );
  });
  return Promise.race([done, timeout]);
}

/**
 * One offer and answer over HTTP without trickle ICE: WHIP (RFC 9725) or WHEP (draft-ietf-wish-whep).
 * @throws TalkMeshError; the connection is then closed and the resource on the server released
 */
export async function connectPeer(options: PeerOptions, signal: AbortSignal): Promise<Peer> {
  const pc = options.createPeer({ iceServers: options.iceServers, bundlePolicy: 'max-bundle' });
  let resource: string | undefined;
  const finished = new AbortController();
  try {
    const either = AbortSignal.any([signal, finished.signal]);
    options.prepare(pc);
    await pc.setLocalDescription(await pc.createOffer());
    await waitUntilGathered(pc, options.gatherMs, either);
    const response = await options.http.send('POST', options.path, {
      body: pc.localDescription?.sdp ?? '',
      contentType: 'application/sdp',
      bearer: options.bearer(),
      signal,
    });
    resource = response.headers.get('location') ?? undefined;
    if (resource === undefined)
      throw new TalkMeshError('INTERNAL', 'The answer of the server has no Location header. A proxy may remove it.');
    await pc.setRemoteDescription({ type: 'answer', sdp: await response.text() });
    await waitUntilConnected(pc, options.connectMs, either);
    return { pc, resource };
  } catch (error) {
    pc.close();
    if (resource !== undefined) releasePeer(options, resource);
    throw TalkMeshError.from(error);
  } finally {
    finished.abort();
  }
}

/** Deletes the resource of a connection. It is not awaited, because the server also releases connections that have closed. */
export function releasePeer(options: Pick<PeerOptions, 'http' | 'bearer'>, resource: string): void {
  options.http.send('DELETE', resource, { bearer: options.bearer(), keepalive: true }).catch(() => undefined);
}

export interface PeerLinkOptions extends PeerOptions {
  /** Called each time media flows: after `open()` and after each reconnection. */
  readonly onUp: (pc: RTCPeerConnection) => void;
  /** Called when the connection was lost and the link begins to reconnect. */
  readonly onDown: () => void;
  /** Called when no attempt to reconnect succeeded; the link makes no further attempt. */
  readonly onLost: (error: TalkMeshError) => void;
  /** How long `disconnected` may last before a new connection is made, milliseconds. */
  readonly disconnectedMs?: number;
  /** Pause before each further attempt, milliseconds; as many attempts as entries. */
  readonly retryMs?: readonly number[];
}

/** Together longer than the 15 s within which the gateway moves a stage of a lost worker to another one. */
const RETRY_MS = [0, 250, 500, 1_000, 2_000, 4_000, 4_000, 4_000];

/** A media connection that reconnects when it breaks, until the signal aborts. */
export class PeerLink {
  readonly #options: PeerLinkOptions;
  readonly #signal: AbortSignal;
  #peer: Peer | undefined;

  constructor(options: PeerLinkOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
    // Only the local side is closed here: the server releases its side when the session ends.
    signal.addEventListener('abort', () => this.#closeLocally(), { once: true });
  }

  get pc(): RTCPeerConnection | undefined {
    return this.#peer?.pc;
  }

  /** Connects; resolves when media flows. The first attempt is not repeated. @throws TalkMeshError */
  async open(): Promise<void> {
    const peer = await connectPeer(this.#options, this.#signal);
    if (this.#signal.aborted) {
      peer.pc.close();
      throw new TalkMeshError('CANCELLED', 'The call has ended.');
    }
    this.#peer = peer;
    this.#watch(peer);
    this.#options.onUp(peer.pc);
  }

  #watch(peer: Peer): void {
    let timer: ReturnType<typeof setTimeout> | undefined;
    peer.pc.addEventListener('connectionstatechange', () => {
      clearTimeout(timer);
      if (this.#peer !== peer || this.#signal.aborted) return;
      const state = peer.pc.connectionState;
      if (state === 'failed' || state === 'closed') void this.#reconnect();
      if (state === 'disconnected')
        timer = setTimeout(() => void this.#reconnect(), this.#options.disconnectedMs ?? 2_000);
    });
  }

  /** Replaces the connection by a new one. Does nothing while a connection is being made. */
  async renew(): Promise<void> {
    if (this.#peer !== undefined && !this.#signal.aborted) await this.#reconnect();
  }

  async #reconnect(): Promise<void> {
    this.#closeAndRelease();
    this.#options.onDown();
    let lastError = new TalkMeshError('PEER_LOST', 'The media connection was lost.', { retryable: true });
    for (const pauseMs of this.#options.retryMs ?? RETRY_MS) {
      try {
        await pause(pauseMs, this.#signal);
        return await this.open();
      } catch (error) {
        if (this.#signal.aborted) return;
        lastError = TalkMeshError.from(error);
        if (!lastError.retryable) break;
      }
    }
    this.#options.onLost(lastError);
  }

  #closeAndRelease(): void {
    const peer = this.#closeLocally();
    if (peer !== undefined) releasePeer(this.#options, peer.resource);
  }

  #closeLocally(): Peer | undefined {
    const peer = this.#peer;
    this.#peer = undefined;
    peer?.pc.close();
    return peer;
  }
}
