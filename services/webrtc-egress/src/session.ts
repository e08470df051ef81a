import type { FrameMessage, PlayheadMessage } from '@talkmesh/contracts';
import { type Bus, type Logger, RollingPercentiles, type SessionStats, type Subscription } from '@talkmesh/service-kit';
import { type FrameShape, listen } from './inbound.js';
import type { EgressMetrics } from './metrics.js';
import { Outbound } from './outbound.js';
import { Playhead } from './playhead.js';
import { FrameStage, type TakenFrame } from './stage.js';
import { ViewerWatch } from './viewer.js';

/** Chunks the buffer holds beyond the credit: those under way when the playhead moved. */
const SPARE_CHUNKS = 2;
/** Frames that are made again come within this time, or not at all, milliseconds. */
const MISSED_MS = 2000;
/** While nothing is played the position is told again this often, milliseconds. */
const PERSIST_MS = 1000;

export interface SessionOptions {
  readonly sessionId: string;
  readonly epoch: number;
  readonly fps: number;
  readonly shape: FrameShape;
  readonly creditChunks: number;
  readonly connectTimeoutMs: number;
  readonly goneMs: number;
  /** Taken over from another worker, with the last playhead it told. */
  readonly resume?: boolean;
  readonly after?: PlayheadMessage | undefined;
  readonly bus: Bus;
  readonly log: Logger;
  readonly metrics: EgressMetrics;
}

/** Where the frames of a session go. */
export interface Sink {
  /** Frames may be waiting: take what fits. */
  pump(): void;
  flush(epoch: number, fromChunk: number): void;
  close(): Promise<void>;
}

/** One session: frames come in, a sink takes and plays them, the playhead tells the mesh. */
export class EgressSession {
  readonly watch: ViewerWatch;
  readonly #options: SessionOptions;
  readonly #stage: FrameStage;
  readonly #playhead: Playhead;
  readonly #outbound: Outbound;
  readonly #latenessMs = new RollingPercentiles();
  readonly #stopListening: () => void;
  readonly #log: Logger;
  #sink: Sink | undefined;
  #received = 0;
  readonly #reconnection: Subscription;
  #persist: NodeJS.Timeout | undefined;
  #missed: NodeJS.Timeout | undefined;
  #publishedAtMs = 0;
  #dropped = 0;

  constructor(options: SessionOptions) {
    const { sessionId, epoch, fps, creditChunks, bus, shape, after } = options;
    this.#options = options;
    this.#log = options.log.child({ session_id: sessionId });
    this.#stage = new FrameStage({ epoch, capacityChunks: creditChunks + SPARE_CHUNKS, after });
    this.#playhead = new Playhead({ sessionId, epoch, creditChunks, fps, after });
    this.#outbound = new Outbound(bus, sessionId);
    this.watch = new ViewerWatch({
      connectTimeoutMs: options.connectTimeoutMs,
      goneMs: options.goneMs,
      onConnected: () => this.#viewerCame(),
      onGone: (cause) => this.#event({ type: 'viewer.gone', cause }),
    });
    this.#stopListening = listen(bus, sessionId, shape, {
      onFrame: (frame) => this.#receive(frame),
      onFlush: (from, fromChunk) => this.#flush(from, fromChunk),
      onResumed: (turn, heardMs) => this.#playhead.resumed(turn, heardMs),
    });
    this.#reconnection = bus.onReconnect(() => this.#missedFrames());
  }

  /** Gives the session its sink and, with the first playhead, the producers their credit. */
  start(sink: Sink): void {
    this.#sink = sink;
    this.#publish(this.#playhead.current());
    // A producer that missed the last credit would wait for ever: nothing is played until it goes on.
    this.#persist = setInterval(() => {
      if (performance.now() - this.#publishedAtMs >= PERSIST_MS) this.#publish(this.#playhead.current());
    }, PERSIST_MS);
    // What was on its way to the worker before is retained nowhere.
    if (this.#options.resume === true) this.#missedFrames();
  }

  take(maxInFlight: number): TakenFrame | undefined {
    return this.#stage.take(maxInFlight);
  }

  /** The sink played a frame. Reports of a sink that was replaced are ignored. */
  played(serial: number, lateMs: number): void {
    const frame = this.#stage.played(serial);
    if (frame === undefined) return;
    this.#options.metrics.frames.inc({ outcome: 'played' });
    this.#latenessMs.add(lateMs);
    for (const message of this.#playhead.played(frame)) this.#publish(message);
  }

  /** The sink showed the last frame again. */
  held(): void {
    this.#options.metrics.frames.inc({ outcome: 'held' });
    this.#publish(this.#playhead.held(1));
  }

  discarded(serials: readonly number[]): void {
    this.#drop(serials.filter((serial) => this.#stage.discarded(serial)).length);
  }

  /** The sink is gone; what it had not played is played by the next one. */
  restore(): void {
    this.#drop(this.#stage.restore());
  }

  /** The connection broke by a fault of this service, not of the viewer. */
  peerLost(): void {
    const message = 'the WebRTC process crashed and was started again; offer again';
    this.#event({ type: 'error', service: 'webrtc-egress', reason: 'PEER_LOST', message });
    this.watch.cutOff('peer-lost');
  }

  stats(): SessionStats {
    return {
      sessionId: this.#options.sessionId,
      epoch: this.#stage.epoch,
      chunk: this.#playhead.chunk,
      itemsIn: this.#received,
      itemsOut: this.#playhead.playedFrames,
      dropped: this.#dropped,
      p50Ms: this.#latenessMs.p(0.5),
      p95Ms: this.#latenessMs.p(0.95),
      late: this.#playhead.heldFrames,
    };
  }

  /** @param reason `moved`: another worker goes on from the last playhead */
  async close(reason = 'ended'): Promise<void> {
    clearInterval(this.#persist);
    clearTimeout(this.#missed);
    this.#reconnection.unsubscribe();
    this.#stopListening();
    if (reason === 'moved') this.#publish(this.#playhead.current());
    this.watch.dispose();
    await this.#sink?.close();
  }

  /** The decoder is asked for everything from the playhead on; what is there already waits for what comes before it. */
  #missedFrames(): void {
    this.#publish(this.#playhead.current());
    this.#event({ type: 'frames.missed' });
    this.#stage.expectsMissed = true;
    clearTimeout(this.#missed);
    this.#missed = setTimeout(() => {
      this.#stage.expectsMissed = false;
      this.#sink?.pump();
    }, MISSED_MS);
  }

  #publish(playhead: PlayheadMessage): void {
    this.#publishedAtMs = performance.now();
    this.#outbound.playhead(playhead);
  }

  #receive(frame: FrameMessage): void {
    this.#received++;
    const { verdict, dropped } = this.#stage.offer(frame);
    this.#drop(dropped + (verdict === 'accepted' ? 0 : 1));
    if (verdict === 'full') this.#log.warn({ chunk: frame.chunk }, 'a frame came beyond the credit and was refused');
    this.#sink?.pump();
  }

  #flush(epoch: number, fromChunk: number): void {
    this.#drop(this.#stage.flush(epoch, fromChunk));
    this.#sink?.flush(epoch, fromChunk);
  }

  #drop(frames: number): void {
    this.#dropped += frames;
    this.#options.metrics.frames.inc({ outcome: 'dropped' }, frames);
  }

  #viewerCame(): void {
    this.#log.info('viewer connected');
    this.#event({ type: 'viewer.connected' });
    this.#publish(this.#playhead.current());
  }

  #event(body: Parameters<Outbound['event']>[0]): void {
    if (body.type === 'viewer.gone') this.#log.info({ cause: body.cause }, 'viewer gone');
    this.#outbound.event(body, { epoch: this.#stage.epoch, turn: this.#playhead.turn });
  }
}
