import { type AudioMessage, MeshError, type PlayheadMessage, type Reason } from '@talkmesh/contracts';
import { ChannelMixer, MicFramer } from '@talkmesh/media';
import {
  type Bus,
  type Logger,
  NO_TRACE,
  RollingPercentiles,
  type SessionStats,
  StageSpan,
  setUpLinks,
} from '@talkmesh/service-kit';
import { listenToPlayhead } from './inbound.js';
import type { IngestMetrics } from './metrics.js';
import { type MicChange, MicCheck, type MicCheckOptions, textOf } from './mic-check.js';
import { Outbound } from './outbound.js';
import { type VoiceOptions, VoiceWatch } from './voice.js';

/** `room`: a participant of a LiveKit room. */
export type SourceKind = 'microphone' | 'room' | 'stream';

export interface SessionOptions {
  readonly sessionId: string;
  readonly epoch: number;
  readonly bus: Bus;
  readonly log: Logger;
  readonly metrics: IngestMetrics;
  /** Absent: no voice activity detection. */
  readonly voice?: Pick<VoiceOptions, 'detector' | 'gate'>;
  readonly micCheck: MicCheckOptions;
  /** True at a takeover: a stream to the previous worker may have ended in the middle of a turn. */
  readonly takeOver?: boolean;
}

/** Keeps sequence numbers within 32 bits. */
const SEQUENCES = 2 ** 31;
/** How long after a takeover the sender of an interrupted stream may take to reconnect; then its turn is ended. */
const ORPHAN_TURN_MS = 5000;

/** One session: takes audio from one source at a time, publishes `mic` messages and the events that speech started or stopped. */
export class IngestSession {
  readonly #options: SessionOptions;
  readonly #framer: MicFramer;
  readonly #outbound: Outbound;
  readonly #voice: VoiceWatch | undefined;
  readonly #stopListening: () => void;
  readonly #stepMs = new RollingPercentiles();
  readonly #closed = new AbortController();
  #at: { epoch: number; turn: number };
  #source: { readonly kind: SourceKind } | undefined;
  #blocks = 0;
  #unsent = 0;
  #streamSamples = 0;
  #orphanTimer: NodeJS.Timeout | undefined;
  /** Of the microphone that is connected. */
  #micCheck: MicCheck | undefined;
  #onPlayhead: (playhead: PlayheadMessage) => void = () => {};
  readonly #setUp = setUpLinks();
  #mediaTimeUs: number | undefined;

  constructor(options: SessionOptions) {
    const { sessionId, epoch, bus, log, metrics } = options;
    this.#options = options;
    this.#at = { epoch, turn: 0 };
    // A worker sends less than one message per millisecond, so the time in ms is above all sequence numbers of the previous worker.
    this.#framer = new MicFramer(sessionId, options.takeOver === true ? Date.now() % SEQUENCES : 0);
    this.#outbound = new Outbound(bus, sessionId);
    this.#voice =
      options.voice &&
      new VoiceWatch({
        ...options.voice,
        log: log.child({ sessionId }),
        took: metrics.vad,
        onStart: () => this.#outbound.event({ type: 'speech.started' }, this.#at),
        onStop: (durationMs, silenceMs) => this.#userStopped(durationMs, silenceMs),
      });
    if (options.takeOver === true)
      this.#orphanTimer = setTimeout(() => this.#publish(this.#framer.endTurn()), ORPHAN_TURN_MS);
    this.#stopListening = listenToPlayhead(bus, sessionId, (playhead) => {
      this.#at = { epoch: Math.max(this.#at.epoch, playhead.epoch), turn: playhead.turn };
      this.#mediaTimeUs = playhead.mediaTimeUs;
      this.#onPlayhead(playhead);
    });
  }

  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  /** Resolves when NATS is reachable; a stream waits, so that lost audio is sent to the next worker. @throws the signal's reason */
  reachable(signal: AbortSignal): Promise<void> {
    return this.#outbound.reachable(signal);
  }

  /** Samples at 24 kHz that were accepted but not published before the session moved. */
  get unsent(): number {
    return this.#unsent;
  }

  get mediaTimeUs(): number | undefined {
    return this.#mediaTimeUs;
  }

  /** @throws MeshError SESSION_EXISTS when the session already has a source, SESSION_ENDED */
  assertFree(): void {
    if (this.closed.aborted) throw new MeshError('SESSION_ENDED', 'the session has ended');
    if (this.#source !== undefined)
      throw new MeshError('SESSION_EXISTS', `a ${this.#source.kind} already sends audio to this session; end it first`);
  }

  /** Makes the caller the session's only source. @throws MeshError SESSION_EXISTS, SESSION_ENDED */
  claim(kind: SourceKind, onPlayhead: (playhead: PlayheadMessage) => void = () => {}): AudioSource {
    this.assertFree();
    clearTimeout(this.#orphanTimer);
    const source = { kind };
    const mixer = new ChannelMixer();
    this.#micCheck = kind === 'stream' ? undefined : new MicCheck(this.#options.micCheck);
    this.#source = source;
    this.#onPlayhead = onPlayhead;
    const ifCurrent = (work: () => void) => () => {
      if (this.#source === source) work();
    };
    return {
      push: (pcm, rateHz, channels) =>
        ifCurrent(() => this.#push(mixer.pushInterleaved(pcm, channels), rateHz, kind))(),
      endTurn: ifCurrent(() => this.#publish(this.#framer.endTurn())),
      release: ifCurrent(() => this.#release()),
    };
  }

  /** Records how many samples per channel of the current stream were accepted, so that a caller who got no answer can ask. */
  countStream(samples: number): void {
    this.#streamSamples = samples;
  }

  peerLost(): void {
    this.failed('PEER_LOST', 'the WebRTC process crashed and was restarted; send a new offer');
  }

  /** Tells the session's listeners what went wrong. */
  failed(reason: Reason, message: string): void {
    this.#outbound.event({ type: 'error', service: 'audio-ingest', reason, message }, this.#at);
  }

  /** Who in the session's LiveKit room is heard, and by which track; both empty: none. */
  heardOf(participant: string, track: string): void {
    this.#outbound.event({ type: 'input.source', participant, track }, this.#at);
  }

  stats(): SessionStats {
    return {
      sessionId: this.#options.sessionId,
      epoch: this.#at.epoch,
      chunk: 0,
      itemsIn: this.#blocks,
      itemsOut: this.#framer.messages,
      dropped: this.#voice?.skipped ?? 0,
      p50Ms: this.#stepMs.p(0.5),
      p95Ms: this.#stepMs.p(0.95),
      late: 0,
      streamSamples: this.#streamSamples,
    };
  }

  /** @param reason `moved`: another worker continues, so a stream gets PEER_LOST (send again) instead of SESSION_ENDED */
  async close(reason = 'ended'): Promise<void> {
    clearTimeout(this.#orphanTimer);
    const moved = reason === 'moved';
    if (moved && this.#outbound.broken) this.#unsent = this.#framer.pending;
    else if (moved) this.#publish(this.#framer.handOver());
    this.#closed.abort(
      moved
        ? new MeshError(
            'PEER_LOST',
            'the session moved to another worker; open a new stream and send the samples after samples_received',
          )
        : new MeshError('SESSION_ENDED', 'the session has ended'),
    );
    this.#stopListening();
    this.#outbound.close();
    await this.#voice?.close();
  }

  #push(pcm: Int16Array, rateHz: number, source: SourceKind): void {
    const startMs = performance.now();
    this.#blocks++;
    this.#publish(this.#framer.push(pcm, rateHz));
    const tookMs = performance.now() - startMs;
    this.#stepMs.add(tookMs);
    this.#options.metrics.step.observe(tookMs / 1000);
    this.#options.metrics.seconds.inc({ source }, pcm.length / rateHz);
  }

  #publish(messages: readonly AudioMessage[]): void {
    for (const message of messages) {
      this.#outbound.mic(message);
      this.#voice?.push(message.pcm, this.#source?.kind !== 'stream');
      for (const change of this.#micCheck?.push(message.pcm) ?? []) this.#tell(change);
    }
  }

  /** The trace of the turn that answers begins with what the user said. */
  #userStopped(durationMs: number, silenceMs: number): void {
    const { sessionId } = this.#options;
    const startMs = performance.now() - silenceMs - durationMs;
    const attributes = { 'talkmesh.speech_ms': durationMs, 'talkmesh.silence_ms': silenceMs };
    const place = { stage: 'audio-ingest', sessionId, parent: NO_TRACE, links: this.#setUp } as const;
    const span = new StageSpan({ name: 'hear', ...place, startMs, attributes });
    const ledger = { 'audio-ingest': silenceMs };
    span.run(() => this.#outbound.event({ type: 'speech.stopped', durationMs }, this.#at, ledger));
    span.end();
  }

  #tell({ type, code }: MicChange): void {
    if (type === 'problem') this.#options.metrics.micProblems.inc({ code });
    const body =
      type === 'problem'
        ? { type: 'input.problem' as const, code, text: textOf(code) }
        : { type: 'input.recovered' as const, code };
    this.#outbound.event(body, this.#at);
  }

  #release(): void {
    this.#publish(this.#framer.pause());
    this.#voice?.sourceGone();
    for (const change of this.#micCheck?.end() ?? []) this.#tell(change);
    this.#micCheck = undefined;
    this.#source = undefined;
    this.#onPlayhead = () => {};
  }
}

/** The source that currently feeds a session. After `release` its methods do nothing. */
export interface AudioSource {
  /** @param pcm interleaved */
  push(pcm: Int16Array, rateHz: number, channels: number): void;
  endTurn(): void;
  release(): void;
}
