import { randomUUID } from 'node:crypto';
import { MeshError } from '@talkmesh/contracts';
import { limitVideo, type PeerHost, type PeerState, parseOffer } from '@talkmesh/webrtc';
import type { Flush } from './inbound.js';
import type { EgressMetrics } from './metrics.js';
import { RemotePlayout } from './remote-playout.js';
import type { EgressSession, Sink } from './session.js';
import type { FromViewer, ToViewer, ViewerSetup } from './viewer-messages.js';

export type ViewerHost = Pick<PeerHost<ViewerSetup, ToViewer, FromViewer>, 'open' | 'ice' | 'post' | 'close'>;

export interface WebrtcSinkOptions {
  readonly session: EgressSession;
  readonly host: ViewerHost;
  readonly metrics: EgressMetrics;
  readonly setup: Omit<ViewerSetup, 'hasAudio' | 'hasVideo'>;
  readonly playoutFrames: number;
  readonly maxKbps: number;
  readonly startKbps: number;
}

interface Viewer {
  readonly peerId: string;
  readonly playout: RemotePlayout;
  connected: boolean;
}

/** Sends a session to one viewer over WebRTC. The playout clock is in the child process; this class keeps it a few frames ahead. */
export class WebrtcSink implements Sink {
  readonly #options: WebrtcSinkOptions;
  #viewer: Viewer | undefined;
  #offers: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(options: WebrtcSinkOptions) {
    this.#options = options;
  }

  /** Answers a WHEP offer; the new viewer replaces the previous one. @throws MeshError SDP_INVALID, SDP_TIMEOUT, PEER_LOST */
  offer(sdp: string): Promise<{ sdp: string; resourceId: string }> {
    const answered = this.#offers.then(() => this.#answer(sdp));
    this.#offers = answered.catch(() => undefined);
    return answered;
  }

  /** Trickle ICE and ICE restart of the viewer, as `PeerHost.ice`. @throws MeshError NOT_FOUND: it was replaced or is closed */
  async ice(resourceId: string, ifMatch: string, fragment: string): Promise<string> {
    if (this.#viewer?.peerId !== resourceId)
      throw new MeshError('NOT_FOUND', 'this connection is closed; send a new offer');
    return this.#options.host.ice(resourceId, ifMatch, fragment);
  }

  /** The viewer disconnects on purpose, perhaps only for a moment. Ignored for a viewer that was replaced, because its connection is already closed. */
  async hangup(resourceId: string): Promise<void> {
    if (this.#viewer?.peerId !== resourceId) return;
    await this.#drop();
    this.#options.session.watch.hungUp();
  }

  pump(): void {
    if (this.#viewer?.connected === true) this.#viewer.playout.pump();
  }

  flush(flush: Flush): void {
    this.#viewer?.playout.flush(flush);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#offers;
    await this.#drop();
  }

  async #answer(offer: string): Promise<{ sdp: string; resourceId: string }> {
    const { session, host, metrics, setup, playoutFrames, maxKbps, startKbps } = this.#options;
    const peerId = randomUUID();
    const post = (message: ToViewer) => host.post(peerId, message);
    const playout = new RemotePlayout({ session, metrics, sink: 'webrtc', playoutFrames, post });
    const { sdp, directions } = parseOffer(offer);
    const receives = (kind: 'audio' | 'video') => ['recvonly', 'sendrecv'].includes(directions.get(kind) ?? '');
    const [hasAudio, hasVideo] = [receives('audio'), receives('video')];
    if (!hasAudio && !hasVideo) throw new MeshError('SDP_INVALID', 'the SDP offer receives neither audio nor video');
    if (this.#closed) throw new MeshError('SESSION_ENDED', 'the session has ended');
    const viewer: Viewer = { peerId, playout, connected: false };
    const answer = await host.open(
      peerId,
      limitVideo(sdp, { maxKbps, startKbps }),
      { ...setup, hasAudio, hasVideo },
      {
        onState: (state) => this.#changed(viewer, state),
        onMessage: (message) => this.#receive(viewer, message),
        onLost: () => this.#lost(viewer),
      },
    );
    if (this.#closed) {
      await host.close(viewer.peerId);
      throw new MeshError('SESSION_ENDED', 'the session ended while the offer was being answered');
    }
    await this.#replace(viewer);
    return { sdp: answer, resourceId: viewer.peerId };
  }

  async #replace(viewer: Viewer): Promise<void> {
    if (this.#viewer !== undefined) this.#options.session.watch.lost('replaced');
    await this.#drop();
    this.#viewer = viewer;
    if (viewer.connected) this.#changed(viewer, 'connected');
  }

  async #drop(): Promise<void> {
    const viewer = this.#viewer;
    if (viewer === undefined) return;
    this.#detach(viewer);
    await this.#options.host.close(viewer.peerId);
  }

  /** Detaches the viewer: later messages of it are ignored, and its unplayed frames go back to the jitter buffer. */
  #detach(viewer: Viewer): void {
    this.#countViewer(viewer, false);
    this.#viewer = undefined;
    this.#options.session.restore();
  }

  #countViewer(viewer: Viewer, connected: boolean): void {
    if (viewer.connected !== connected) this.#options.metrics.viewers.inc(connected ? 1 : -1);
    viewer.connected = connected;
  }

  #changed(viewer: Viewer, state: PeerState): void {
    const { session } = this.#options;
    this.#countViewer(viewer, state === 'connected');
    if (viewer !== this.#viewer) return;
    if (state === 'connected') session.watch.connected();
    else if (state !== 'connecting') session.watch.lost(state);
    if (state === 'failed' || state === 'closed') this.#detach(viewer);
    this.pump();
  }

  #lost(viewer: Viewer): void {
    this.#countViewer(viewer, false);
    if (viewer !== this.#viewer) return;
    this.#detach(viewer);
    this.#options.session.peerLost();
  }

  #receive(viewer: Viewer, message: FromViewer): void {
    if (viewer !== this.#viewer) return;
    viewer.playout.receive(message);
    this.pump();
  }
}
