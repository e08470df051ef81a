import { type AudioMessage, MeshError, type PlayheadMessage } from '@talkmesh/contracts';
import { type Bus, type Logger, RollingPercentiles, type SessionStats } from '@talkmesh/service-kit';
import { listenToPlayhead } from './inbound.js';
import type { IngestMetrics } from './metrics.js';
import { Outbound } from './outbound.js';
import { MicStage, mixInterleaved } from './stage.js';
import { type VoiceOptions, VoiceWatch } from './voice.js';

export type SourceKind = 'microphone' | 'stream';

export interface SessionOptions {
  readonly sessionId: string;
  readonly epoch: number;
  readonly bus: Bus;
  readonly log: Logger;
  readonly metrics: IngestMetrics;
  /** Absent: no voice activity detection. */
  readonly voice?: Pick<VoiceOptions, 'detector' | 'gate'>;
  /** Taken over from another worker, whose stream may have broken off in the middle of a turn. */
  readonly resume?: boolean;
}

/** Numbers of messages are 32 bits wide. */
const SEQUENCES = 2 ** 31;
/** How long the sender of a stream that broke off may take to come again before its turn is ended for it. */
const ORPHAN_MS = 5000;

/** One session: one source of sound at a time, `mic` messages out, and events of somebody speaking. */
export class IngestSession {
  readonly #options: SessionOptions;
  readonly #stage: MicStage;
  readonly #outbound: Outbound;
  readonly #voice: VoiceWatch | undefined;
  readonly #stopListening: () => void;
  readonly #stepMs = new RollingPercentiles();
  readonly #closed = new AbortController();
  #at: { epoch: number; turn: number };
  #source: { readonly kind: SourceKind } | undefined;
  #blocks = 0;
  #unsent = 0;
  #orphan: NodeJS.Timeout | undefined;
  #onPlayhead: (playhead: PlayheadMessage) => void = () => {};
  #mediaTimeUs: number | undefined;

  constructor(options: SessionOptions) {
    const { sessionId, epoch, bus, log, metrics } = options;
    this.#options = options;
    this.#at = { epoch, turn: 0 };
    // A millisecond is shorter than any message, so the numbers of the worker before were lower.
    this.#stage = new MicStage(sessionId, options.resume === true ? Date.now() % SEQUENCES : 0);
    this.#outbound = new Outbound(bus, sessionId);
    this.#voice =
      options.voice &&
      new VoiceWatch({
        ...options.voice,
        log: log.child({ session_id: sessionId }),
        took: metrics.vad,
        onStart: () => this.#outbound.event({ type: 'speech.started' }, this.#at),
        onStop: (durationMs) => this.#outbound.event({ type: 'speech.stopped', durationMs }, this.#at),
      });
    if (options.resume === true) this.#orphan = setTimeout(() => this.#publish(this.#stage.endTurn()), ORPHAN_MS);
    this.#stopListening = listenToPlayhead(bus, sessionId, (playhead) => {
      this.#at = { epoch: Math.max(this.#at.epoch, playhead.epoch), turn: playhead.turn };
      this.#mediaTimeUs = playhead.mediaTimeUs;
      this.#onPlayhead(playhead);
    });
  }

  /** Aborted when the session is closed. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  /** Settles when what comes reaches NATS. A stream waits: what is refused now can be sent to the worker that goes on. @throws the signal's reason */
  reachable(signal: AbortSignal): Promise<void> {
    return this.#outbound.reachable(signal);
  }

  /** Samples at 24 kHz that were taken in and did not go out before the session moved. */
  get unsent(): number {
    return this.#unsent;
  }

  /** The session's playhead as far as it is known. */
  get mediaTimeUs(): number | undefined {
    return this.#mediaTimeUs;
  }

  /** @throws MeshError SESSION_EXISTS when a source feeds the session, SESSION_ENDED */
  assertFree(): void {
    if (this.closed.aborted) throw new MeshError('SESSION_ENDED', 'the session has ended');
    if (this.#source !== undefined)
      throw new MeshError('SESSION_EXISTS', `a ${this.#source.kind} feeds this session already; end it first`);
  }

  /** Claims the session's one place for a source. @throws MeshError SESSION_EXISTS, SESSION_ENDED */
  claim(kind: SourceKind, onPlayhead: (playhead: PlayheadMessage) => void = () => {}): AudioSource {
    this.assertFree();
    clearTimeout(this.#orphan);
    const source = { kind };
    this.#source = source;
    this.#onPlayhead = onPlayhead;
    const whenMine = (work: () => void) => () => {
      if (this.#source === source) work();
    };
    return {
      push: (pcm, rateHz, channels) => whenMine(() => this.#push(pcm, rateHz, channels, kind))(),
      endTurn: whenMine(() => this.#publish(this.#stage.endTurn())),
      release: whenMine(() => this.#release()),
    };
  }

  /** A connection broke by a fault of this service. */
  peerLost(): void {
    const message = 'the WebRTC process crashed and was started again; offer again';
    this.#outbound.event({ type: 'error', service: 'audio-ingest', reason: 'PEER_LOST', message }, this.#at);
  }

  stats(): SessionStats {
    return {
      sessionId: this.#options.sessionId,
      epoch: this.#at.epoch,
      chunk: 0,
      itemsIn: this.#blocks,
      itemsOut: this.#stage.messages,
      dropped: this.#voice?.skipped ?? 0,
      p50Ms: this.#stepMs.p(0.5),
      p95Ms: this.#stepMs.p(0.95),
      late: 0,
    };
  }

  /** @param reason `moved`: another worker goes on, so a stream is told to come again instead of that it is over */
  async close(reason = 'ended'): Promise<void> {
    clearTimeout(this.#orphan);
    const moved = reason === 'moved';
    if (moved && this.#outbound.broken) this.#unsent = this.#stage.pending;
    else if (moved) this.#publish(this.#stage.handOver());
    this.#closed.abort(
      moved
        ? new MeshError('PEER_LOST', 'the session moved to another worker: stream again what was not received')
        : new MeshError('SESSION_ENDED', 'the session has ended'),
    );
    this.#stopListening();
    this.#outbound.close();
    await this.#voice?.close();
  }

  #push(pcm: Int16Array, rateHz: number, channels: number, source: SourceKind): void {
    const startMs = performance.now();
    this.#blocks++;
    this.#publish(this.#stage.push(mixInterleaved(pcm, channels), rateHz));
    const tookMs = performance.now() - startMs;
    this.#stepMs.add(tookMs);
    this.#options.metrics.step.observe(tookMs / 1000);
    this.#options.metrics.seconds.inc({ source }, pcm.length / channels / rateHz);
  }

  #publish(messages: readonly AudioMessage[]): void {
    for (const message of messages) {
      this.#outbound.mic(message);
      this.#voice?.push(message.pcm, this.#source?.kind === 'microphone');
    }
  }

  #release(): void {
    this.#publish(this.#stage.pause());
    this.#voice?.sourceGone();
    this.#source = undefined;
    this.#onPlayhead = () => {};
  }
}

/** The one source that feeds a session. After `release` it does nothing. */
export interface AudioSource {
  /** @param pcm interleaved */
  push(pcm: Int16Array, rateHz: number, channels: number): void;
  endTurn(): void;
  release(): void;
}
