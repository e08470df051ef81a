import type {
  EpochStart,
  EventBody,
  FrameMessage,
  Ledger,
  MeshEvent,
  PlayheadMessage,
  Reason,
  SessionDisclosure,
} from '@talkmesh/contracts';
import {
  type Bus,
  type Logger,
  RollingPercentiles,
  type SessionStats,
  type Subscription,
  type Trail,
} from '@talkmesh/service-kit';
import { AgentSpeech, type AgentSpeechOptions } from './agent-speech.js';
import { Badge } from './badge.js';
import { ChunkTrace } from './chunk-trace.js';
import { type Flush, type FrameShape, listen } from './inbound.js';
import { JitterBuffer, type TakenFrame } from './jitter-buffer.js';
import type { EgressMetrics } from './metrics.js';
import { Outbound } from './outbound.js';
import { Playhead } from './playhead.js';
import type { Recorder } from './recording/recorder.js';
import { ViewerWatch } from './viewer.js';

/** Chunks the jitter buffer holds beyond the credit: those in transit while the playhead moves. */
const SPARE_CHUNKS = 2;
/** How long to wait for republished frames before a gap is skipped, milliseconds. */
const MISSED_FRAMES_MS = 2000;
/** A cut may hold the picture for so long without counting as late, milliseconds. */
const CUT_MS = 400;
/** While nothing is played, the playhead is republished at this interval, milliseconds. */
const REPUBLISH_MS = 1000;
/** Keeps sequence numbers within 32 bits. */
const SEQUENCES = 2 ** 31;

export interface SessionOptions {
  readonly sessionId: string;
  readonly epoch: number;
  readonly fps: number;
  readonly shape: FrameShape;
  readonly disclosure?: SessionDisclosure | undefined;
  readonly creditChunks: number;
  readonly connectTimeoutMs: number;
  readonly goneMs: number;
  /** True at a takeover; `after` is the last playhead that the previous worker published. */
  readonly takeOver?: boolean;
  readonly after?: PlayheadMessage | undefined;
  /** What was flushed before the takeover. */
  readonly flushed?: readonly EpochStart[];
  readonly bus: Bus;
  readonly log: Logger;
  readonly metrics: EgressMetrics;
  /** Set when the session is recorded. */
  readonly recorder?: Recorder | undefined;
}

export interface Sink {
  /** Called when frames may be waiting: takes as many as it can hold. */
  pump(): void;
  flush(flush: Flush): void;
  /** Every event of the session, for a sink that passes some of them on. */
  event?(event: MeshEvent): void;
  close(): Promise<void>;
}

/** One session: receives frames, passes them to its sink in order, and publishes the playhead as they are played. */
export class EgressSession {
  readonly watch: ViewerWatch;
  readonly #options: SessionOptions;
  readonly #buffer: JitterBuffer;
  /** The decoder republishes frames that this worker missed. */
  #isRepublishing = false;
  readonly #playhead: Playhead;
  readonly #badge: Badge | undefined;
  readonly #outbound: Outbound;
  readonly #traces: ChunkTrace;
  readonly #latenessMs = new RollingPercentiles();
  readonly #stopListening: () => void;
  readonly #log: Logger;
  #sink: Sink | undefined;
  #agent: AgentSpeech | undefined;
  #received = 0;
  readonly #reconnection: Subscription;
  #republishTimer: NodeJS.Timeout | undefined;
  #missedTimer: NodeJS.Timeout | undefined;
  #publishedAtMs = 0;
  #dropped = 0;
  /** The newest cut, until a frame after it was played. */
  #cut: { readonly epoch: number; heldFrames: number } | undefined;

  constructor(options: SessionOptions) {
    const { sessionId, epoch, creditChunks, bus, shape, disclosure, after } = options;
    this.#options = options;
    this.#log = options.log.child({ sessionId });
    this.#buffer = new JitterBuffer({
      epoch,
      capacityChunks: creditChunks + SPARE_CHUNKS,
      lastPlayedByPredecessor: after,
      awaitsGaps: () => this.#isRepublishing,
    });
    for (const start of options.flushed ?? []) this.#buffer.flush(start.epoch, start.fromChunk);
    this.#playhead = new Playhead({ sessionId, epoch, creditChunks, after });
    this.#badge = disclosure?.badge ? new Badge(disclosure.label, shape.width, shape.height) : undefined;
    this.#outbound = new Outbound(bus, sessionId);
    this.#traces = new ChunkTrace(sessionId);
    this.watch = new ViewerWatch({
      connectTimeoutMs: options.connectTimeoutMs,
      goneMs: options.goneMs,
      onConnected: () => this.#onViewerConnected(),
      onGone: (cause) => this.#event({ type: 'viewer.gone', cause }),
    });
    this.#stopListening = listen(bus, sessionId, shape, {
      onFrame: (frame, trail) => this.#receive(frame, trail),
      onFlush: (flush) => this.#flush(flush),
      onEvent: (event) => {
        this.#agent?.event(event);
        this.#sink?.event?.(event);
      },
    });
    this.#reconnection = bus.onReconnect(() => this.#missedFrames());
    options.recorder?.tellTo((body) => this.#event(body));
  }

  /** Sets the sink and publishes the first playhead, which grants the producers their credit. */
  start(sink: Sink): void {
    this.#sink = sink;
    this.#publish(this.#playhead.current());
    // A producer that missed the latest credit would wait for ever, since nothing is played until it continues.
    this.#republishTimer = setInterval(() => {
      if (performance.now() - this.#publishedAtMs >= REPUBLISH_MS) this.#publish(this.#playhead.current());
    }, REPUBLISH_MS);
    // Frames are not retained, so those sent to the previous worker must be requested.
    if (this.#options.takeOver === true) this.#missedFrames();
  }

  /** Speech of a LiveKit agent, or of the program at the avatar socket, goes to the bridge, and follows what is played. */
  followAgent(options: Pick<AgentSpeechOptions, 'takeOver' | 'mutes' | 'report' | 'warn'>): AgentSpeech {
    this.#agent = new AgentSpeech({
      ...options,
      sessionId: this.#options.sessionId,
      // A worker sends less than one message per millisecond, so the time in ms is above all sequence numbers of the previous worker.
      firstSequence: options.takeOver ? Date.now() % SEQUENCES : 0,
      now: () => performance.now(),
      mic: (message) => this.#outbound.mic(message),
      clear: () => this.#event({ type: 'clear' }),
    });
    return this.#agent;
  }

  /** Frames that wait to be taken. */
  get waitingFrames(): number {
    return this.#buffer.waitingFrames;
  }

  take(maxInFlight: number): TakenFrame | undefined {
    return this.#buffer.take(maxInFlight);
  }

  /** The sink played a frame. Reports of a sink that was replaced are ignored. */
  played(serial: number, lateMs: number): void {
    const frame = this.#buffer.played(serial);
    if (frame === undefined) return;
    this.#options.metrics.frames.inc({ outcome: 'played' });
    if (frame.epoch >= (this.#cut?.epoch ?? 0)) this.#cut = undefined;
    this.#latenessMs.add(lateMs);
    if (this.#playhead.playedFrames === 0) this.#disclose();
    const message = this.#playhead.played(frame);
    this.#traces.played(frame, (ledger) => message && this.#publish(message, ledger));
    this.#agent?.played(frame);
    this.#options.recorder?.frame(frame);
  }

  held(): void {
    if (this.#cut !== undefined) this.#cut.heldFrames += 1;
    const outcome = this.#isWaitingAfterCut ? 'cut' : 'held';
    if (outcome === 'held') this.#traces.held();
    this.#options.metrics.frames.inc({ outcome });
    this.#publish(this.#playhead.held(1));
    this.#options.recorder?.held();
  }

  discarded(serials: readonly number[]): void {
    this.#drop(serials.filter((serial) => this.#buffer.discarded(serial)).length);
  }

  /** The viewer or reader disconnected: frames it had not played go back to the jitter buffer for the next one. */
  restore(): void {
    this.#drop(this.#buffer.restore());
  }

  peerLost(): void {
    this.failed('PEER_LOST', 'the WebRTC process crashed and was restarted; send a new offer');
    this.watch.cutOff('peer-lost');
  }

  /** Tells the session's listeners what went wrong. */
  failed(reason: Reason, message: string): void {
    this.#event({ type: 'error', service: 'webrtc-egress', reason, message });
  }

  tell(body: EventBody): void {
    this.#event(body);
  }

  stats(): SessionStats {
    return {
      sessionId: this.#options.sessionId,
      epoch: this.#buffer.epoch,
      chunk: this.#playhead.chunk,
      itemsIn: this.#received,
      itemsOut: this.#playhead.playedFrames,
      dropped: this.#dropped,
      p50Ms: this.#latenessMs.p(0.5),
      p95Ms: this.#latenessMs.p(0.95),
      late: this.#playhead.heldFrames,
    };
  }

  /** @param reason `moved`: another worker takes over from the last playhead, so it is published once more */
  async close(reason = 'ended'): Promise<void> {
    clearInterval(this.#republishTimer);
    clearTimeout(this.#missedTimer);
    this.#reconnection.unsubscribe();
    this.#stopListening();
    if (reason === 'moved') this.#publish(this.#playhead.current());
    this.watch.dispose();
    const { recorder } = this.#options;
    const recorded = reason === 'moved' ? recorder?.handOver() : recorder?.close('ended');
    await this.#sink?.close();
    await recorded;
  }

  /** Asks the decoder to republish everything from the playhead on. Until then the buffer waits at a gap instead of skipping it. */
  #missedFrames(): void {
    this.#publish(this.#playhead.current());
    this.#event({ type: 'frames.missed' });
    this.#isRepublishing = true;
    clearTimeout(this.#missedTimer);
    this.#missedTimer = setTimeout(() => {
      this.#isRepublishing = false;
      this.#sink?.pump();
    }, MISSED_FRAMES_MS);
  }

  #publish(playhead: PlayheadMessage, ledger?: Ledger): void {
    this.#publishedAtMs = performance.now();
    this.#outbound.playhead(playhead, ledger);
  }

  #receive(frame: FrameMessage, trail: Trail): void {
    this.#received++;
    this.#traces.arrived(frame, trail);
    if (!frame.held) this.#badge?.drawInto(frame.i420);
    const { verdict, dropped } = this.#buffer.offer(frame);
    this.#drop(dropped + (verdict === 'accepted' ? 0 : 1));
    if (verdict === 'full') this.#log.warn({ chunk: frame.chunk }, 'a frame beyond the credit was dropped');
    if (verdict === 'accepted' && frame.endsIdle && frame.frame === 0)
      this.#flush({
        epoch: frame.epoch,
        fromChunk: this.#buffer.idleBefore(frame.chunk),
        isCut: false,
        isInterrupt: false,
      });
    this.#sink?.pump();
  }

  #flush(flush: Flush): void {
    const { epoch, fromChunk, isCut } = flush;
    if (isCut) this.#cut = { epoch, heldFrames: 0 };
    this.#drop(this.#buffer.flush(epoch, fromChunk));
    this.#sink?.flush(flush);
  }

  /** The picture of a cut chunk stays until the next one has been made; a longer wait is lateness. */
  get #isWaitingAfterCut(): boolean {
    return this.#cut !== undefined && (this.#cut.heldFrames * 1000) / this.#options.fps <= CUT_MS;
  }

  /** Once in a session: a worker that takes it over finds what was played before. */
  #disclose(): void {
    const { disclosure, after } = this.#options;
    if (disclosure !== undefined && after === undefined) this.#event({ type: 'disclosure', ...disclosure });
  }

  #drop(frames: number): void {
    this.#dropped += frames;
    this.#options.metrics.frames.inc({ outcome: 'dropped' }, frames);
  }

  #onViewerConnected(): void {
    this.#log.info('viewer connected');
    this.#event({ type: 'viewer.connected' });
    this.#publish(this.#playhead.current());
  }

  #event(body: Parameters<Outbound['event']>[0]): void {
    if (body.type === 'viewer.gone') this.#log.info({ cause: body.cause }, 'viewer disconnected');
    this.#outbound.event(body, { epoch: this.#buffer.epoch, turn: this.#playhead.turn });
  }
}
