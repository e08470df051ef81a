import { randomUUID } from 'node:crypto';
import { MeshError } from '@talkmesh/contracts';
import { checkOffer, limitVideo, type PeerHost, type PeerState } from '@talkmesh/webrtc';
import type { EgressMetrics } from './metrics.js';
import type { EgressSession, Sink } from './session.js';
import type { FromViewer, ToViewer, ViewerSetup } from './viewer-messages.js';

export type ViewerHost = Pick<PeerHost<ViewerSetup, ToViewer, FromViewer>, 'open' | 'post' | 'close'>;

export interface WebrtcSinkOptions {
  readonly session: EgressSession;
  readonly host: ViewerHost;
  readonly metrics: EgressMetrics;
  readonly setup: Omit<ViewerSetup, 'hasAudio' | 'hasVideo'>;
  /** Frames the child holds ahead of its clock. */
  readonly playoutFrames: number;
  readonly maxKbps: number;
  readonly startKbps: number;
}

interface Viewer {
  readonly peerId: string;
  connected: boolean;
}

/** One viewer over WebRTC. The clock is in the child; this side keeps a few frames ahead of it. */
export class WebrtcSink implements Sink {
  readonly #options: WebrtcSinkOptions;
  #viewer: Viewer | undefined;
  #offers: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(options: WebrtcSinkOptions) {
    this.#options = options;
  }

  /** Answers a WHEP offer. The viewer it makes replaces the one before. @throws MeshError SDP_INVALID, SDP_TIMEOUT, PEER_LOST */
  offer(sdp: string): Promise<{ sdp: string; resourceId: string }> {
    const answered = this.#offers.then(() => this.#answer(sdp));
    this.#offers = answered.catch(() => undefined);
    return answered;
  }

  /** The viewer says farewell; resources of replaced viewers are gone already. */
  async hangup(resourceId: string): Promise<void> {
    if (this.#viewer?.peerId !== resourceId) return;
    await this.#drop();
    this.#options.session.watch.left('hangup');
  }

  pump(): void {
    const { session, host, playoutFrames } = this.#options;
    const viewer = this.#viewer;
    if (!viewer?.connected) return;
    for (let taken = session.take(playoutFrames); taken !== undefined; taken = session.take(playoutFrames)) {
      const { serial, frame } = taken;
      const { epoch, chunk, i420, pcm } = frame;
      if (!host.post(viewer.peerId, { type: 'frame', frame: { serial, epoch, chunk, i420, pcm } }))
        session.discarded([serial]);
    }
  }

  flush(epoch: number, fromChunk: number): void {
    if (this.#viewer !== undefined) this.#options.host.post(this.#viewer.peerId, { type: 'flush', epoch, fromChunk });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#offers;
    await this.#drop();
  }

  async #answer(sdp: string): Promise<{ sdp: string; resourceId: string }> {
    const { host, setup, maxKbps, startKbps } = this.#options;
    const media = checkOffer(sdp);
    const receives = (kind: 'audio' | 'video') => ['recvonly', 'sendrecv'].includes(media.get(kind) ?? '');
    const [hasAudio, hasVideo] = [receives('audio'), receives('video')];
    if (!hasAudio && !hasVideo) throw new MeshError('SDP_INVALID', 'the SDP offer receives neither audio nor video');
    if (this.#closed) throw new MeshError('SESSION_ENDED', 'the session has ended');
    const viewer: Viewer = { peerId: randomUUID(), connected: false };
    const answer = await host.open(
      viewer.peerId,
      limitVideo(sdp, { maxKbps, startKbps }),
      { ...setup, hasAudio, hasVideo },
      {
        onState: (state) => this.#changed(viewer, state),
        onMessage: (message) => this.#heard(viewer, message),
        onLost: () => this.#lost(viewer),
      },
    );
    if (this.#closed) {
      await host.close(viewer.peerId);
      throw new MeshError('SESSION_ENDED', 'the session ended while the offer was answered');
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
    this.#leave(viewer);
    await this.#options.host.close(viewer.peerId);
  }

  /** Nothing of this viewer counts from now on. */
  #leave(viewer: Viewer): void {
    this.#count(viewer, false);
    this.#viewer = undefined;
    this.#options.session.restore();
  }

  #count(viewer: Viewer, connected: boolean): void {
    if (viewer.connected !== connected) this.#options.metrics.viewers.inc(connected ? 1 : -1);
    viewer.connected = connected;
  }

  #changed(viewer: Viewer, state: PeerState): void {
    const { session } = this.#options;
    this.#count(viewer, state === 'connected');
    if (viewer !== this.#viewer) return;
    if (state === 'connected') session.watch.connected();
    else if (state !== 'connecting') session.watch.lost(state);
    if (state === 'failed' || state === 'closed') this.#leave(viewer);
    this.pump();
  }

  #lost(viewer: Viewer): void {
    this.#count(viewer, false);
    if (viewer !== this.#viewer) return;
    this.#leave(viewer);
    this.#options.session.peerLost();
  }

  #heard(viewer: Viewer, message: FromViewer): void {
    if (viewer !== this.#viewer) return;
    const { session, metrics } = this.#options;
    if (message.type === 'held') session.held();
    else if (message.type === 'stalled') metrics.stalls.inc();
    else if (message.type === 'discarded') session.discarded(message.serials);
    else {
      const { serial, lateMs, skewMs } = message.report;
      metrics.skew.observe(Math.abs(skewMs) / 1000);
      metrics.lateness.observe({ sink: 'webrtc' }, lateMs / 1000);
      session.played(serial, lateMs);
    }
    this.pump();
  }
}
