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
  /** Offer to connected, milliseconds. */
  readonly connectMs: number;
}

/** A negotiated connection and the server's name for it. */
export interface Peer {
  readonly pc: RTCPeerConnection;
  readonly resource: string;
}

function gathered(pc: RTCPeerConnection, limitMs: number, signal: AbortSignal): Promise<void> {
  if (pc.iceGatheringState === 'complete') return Promise.resolve();
  const done = new Promise<void>((resolve) => {
    pc.addEventListener('icegatheringstatechange', () => {
      if (pc.iceGatheringState === 'complete') resolve();
    });
  });
  return Promise.race([done, pause(limitMs, signal)]);
}

function connected(pc: RTCPeerConnection, limitMs: number, signal: AbortSignal): Promise<void> {
  const done = new Promise<void>((resolve, reject) => {
    const look = (): void => {
      if (pc.connectionState === 'connected') resolve();
      if (pc.connectionState === 'failed' || pc.connectionState === 'closed')
        reject(new TalkMeshError('PEER_LOST', 'The media connection could not be established.', { retryable: true }));
    };
    pc.addEventListener('connectionstatechange', look);
    look();
  });
  const late = pause(limitMs, signal).then(() => {
    throw new TalkMeshError(
      'SDP_TIMEOUT',
      'No media connection was established. A firewall may block UDP; configure a TURN server in iceServers.',
      { retryable: true },
    );
  });
  return Promise.race([done, late]);
}

/**
 * One offer/answer over HTTP without trickle: WHIP (RFC 9725) or WHEP (draft-ietf-wish-whep).
 * @throws TalkMeshError; the connection is closed and the resource released.
 */
export async function connectPeer(o: PeerOptions, signal: AbortSignal): Promise<Peer> {
  const pc = o.createPeer({ iceServers: o.iceServers, bundlePolicy: 'max-bundle' });
  let resource: string | undefined;
  const limit = new AbortController();
  try {
    const either = AbortSignal.any([signal, limit.signal]);
    o.prepare(pc);
    await pc.setLocalDescription(await pc.createOffer());
    await gathered(pc, o.gatherMs, either);
    const response = await o.http.send('POST', o.path, {
      body: pc.localDescription?.sdp ?? '',
      contentType: 'application/sdp',
      bearer: o.bearer(),
      signal,
    });
    resource = response.headers.get('location') ?? undefined;
    if (resource === undefined) throw new TalkMeshError('INTERNAL', 'The answer has no Location header.');
    await pc.setRemoteDescription({ type: 'answer', sdp: await response.text() });
    await connected(pc, o.connectMs, either);
    return { pc, resource };
  } catch (error) {
    pc.close();
    if (resource !== undefined) releasePeer(o, resource);
    throw TalkMeshError.from(error);
  } finally {
    limit.abort();
  }
}

/** Tells the server that a connection is over; not awaited, because the server notices by itself too. */
export function releasePeer(o: Pick<PeerOptions, 'http' | 'bearer'>, resource: string): void {
  o.http.send('DELETE', resource, { bearer: o.bearer(), keepalive: true }).catch(() => undefined);
}

export interface PeerLinkOptions extends PeerOptions {
  readonly onUp: (pc: RTCPeerConnection) => void;
  readonly onDown: () => void;
  /** The link gave up; it does nothing more. */
  readonly onLost: (error: TalkMeshError) => void;
  /** How long `disconnected` may last before a new connection is made, milliseconds. */
  readonly disconnectedMs?: number;
  /** Pause before each further attempt, milliseconds; as many attempts as entries. */
  readonly retryMs?: readonly number[];
}

/** Longer than the mesh looks for a successor of a lost worker (15 s). */
const RETRY_MS = [0, 250, 500, 1_000, 2_000, 4_000, 4_000, 4_000];

/** A connection that is made again when it breaks, for as long as the call lasts. */
export class PeerLink {
  private readonly o: PeerLinkOptions;
  private readonly signal: AbortSignal;
  private peer: Peer | undefined;

  constructor(o: PeerLinkOptions, signal: AbortSignal) {
    this.o = o;
    this.signal = signal;
    // The end of the call ends the session, and with it the server's side of every connection.
    signal.addEventListener('abort', () => this.drop(), { once: true });
  }

  get pc(): RTCPeerConnection | undefined {
    return this.peer?.pc;
  }

  /** Resolves when media flows; a failure of this first attempt is the caller's to handle. @throws TalkMeshError */
  async open(): Promise<void> {
    const peer = await connectPeer(this.o, this.signal);
    if (this.signal.aborted) {
      peer.pc.close();
      throw new TalkMeshError('CANCELLED', 'The call was ended.');
    }
    this.peer = peer;
    this.watch(peer);
    this.o.onUp(peer.pc);
  }

  private watch(peer: Peer): void {
    let timer: ReturnType<typeof setTimeout> | undefined;
    peer.pc.addEventListener('connectionstatechange', () => {
      clearTimeout(timer);
      if (this.peer !== peer || this.signal.aborted) return;
      const state = peer.pc.connectionState;
      if (state === 'failed' || state === 'closed') void this.restore();
      if (state === 'disconnected') timer = setTimeout(() => void this.restore(), this.o.disconnectedMs ?? 2_000);
    });
  }

  /** Makes the connection anew; one that is being made is let be. */
  async renew(): Promise<void> {
    if (this.peer !== undefined && !this.signal.aborted) await this.restore();
  }

  private async restore(): Promise<void> {
    this.close();
    this.o.onDown();
    let last = new TalkMeshError('PEER_LOST', 'The media connection was lost.', { retryable: true });
    for (const pauseMs of this.o.retryMs ?? RETRY_MS) {
      try {
        await pause(pauseMs, this.signal);
        return await this.open();
      } catch (error) {
        if (this.signal.aborted) return;
        last = TalkMeshError.from(error);
        if (!last.retryable) break;
      }
    }
    this.o.onLost(last);
  }

  private close(): void {
    const peer = this.drop();
    if (peer !== undefined) releasePeer(this.o, peer.resource);
  }

  private drop(): Peer | undefined {
    const peer = this.peer;
    this.peer = undefined;
    peer?.pc.close();
    return peer;
  }
}
