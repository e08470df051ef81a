import type { ChunkGeometry, FrameMessage, LatentMessage } from '@talkmesh/contracts';
import {
  ChunkCost,
  CLOCKLESS_EVERY_CHUNKS,
  type Clock,
  type DecodedChunk,
  DegradeLadder,
  type DegradeReason,
  LADDER_DEFAULTS,
  NO_TIMELINE,
  nowUs,
  pickNext,
  type Ready,
  type Timeline,
} from '@talkmesh/inference';
import { Call, type PushResult } from './call.js';

/** What decodes: one per session, see DecoderSession of the inference library. */
export interface ChunkDecoder {
  decode(chunk: number, values: Float32Array): Promise<DecodedChunk | undefined>;
  rollback(fromChunk: number): void;
  dispose(): void;
}

/** Durations of one session's chunks, milliseconds; p(0.5) is the median, 0 while there are none. */
export interface Percentiles {
  add(ms: number): void;
  p(q: number): number;
}

export type DecodeOutput =
  | { readonly type: 'frame'; readonly message: FrameMessage }
  /** After the last frame of a chunk. `missing`: chunks lost before it. */
  | {
      readonly type: 'chunk';
      readonly outcome: 'ok' | 'late' | 'held' | 'flushed';
      /** Why its picture holds, when it was held here; the score service counts its own. */
      readonly degraded: DegradeReason | undefined;
      readonly missing: number;
      readonly queueMs: number;
      readonly computeMs: number;
      readonly publishMs: number;
    }
  | { readonly type: 'failed'; readonly sessionId: string; readonly epoch: number; readonly error: unknown };

interface Counts {
  itemsIn: number;
  itemsOut: number;
  late: number;
}

/** Counters of one session: chunks in, frames out, chunks dropped and late. */
export interface CallStats extends Readonly<Counts> {
  readonly sessionId: string;
  readonly epoch: number;
  readonly chunk: number;
  readonly dropped: number;
  readonly durations: Percentiles;
}

interface Entry {
  readonly call: Call;
  readonly decoder: ChunkDecoder;
  readonly counts: Counts;
  readonly durations: Percentiles;
  readonly ladder: DegradeLadder;
  /** Chunks that were held since the last one that was decoded: they are not missing. */
  held: number[];
  chunk: number;
  readonly arrivedAtMs: WeakMap<LatentMessage, number>;
  servedAtMs: number;
}

export interface DecodeStageOptions {
  readonly geometry: ChunkGeometry;
  readonly width: number;
  readonly height: number;
  readonly fps: number;
  readonly clock: Clock;
  /** What chunks cost; shared with whoever admits sessions. */
  readonly cost?: ChunkCost;
  /** Time that the egress needs after a chunk was decoded, milliseconds. */
  readonly downstreamMs?: number;
  readonly timeline?: Timeline;
}

export interface SessionOptions {
  readonly sessionId: string;
  readonly epoch: number;
  readonly queueChunks: number;
}

interface Candidate extends Ready {
  readonly entry: Entry;
}

/**
 * Latent chunks in, frames out, for the sessions of one worker. One chunk is decoded at a time: the one due first, speech
 * before idle when not all can be in time. A chunk that would be late goes out without a picture, so that its sound is in
 * time and the picture before it holds.
 */
export class DecodeStage {
  readonly #options: Required<DecodeStageOptions>;
  readonly #entries = new Map<string, Entry>();
  #wake: () => void = () => undefined;

  constructor(options: DecodeStageOptions) {
    this.#options = { cost: new ChunkCost(0), downstreamMs: 0, timeline: NO_TIMELINE, ...options };
  }

  get sessions(): number {
    return this.#entries.size;
  }

  open({ sessionId, epoch, queueChunks }: SessionOptions, decoder: ChunkDecoder, durations: Percentiles): void {
    const rollback = (fromChunk: number): void => decoder.rollback(fromChunk);
    this.#entries.set(sessionId, {
      call: new Call({ sessionId, epoch, capacity: queueChunks, rollback }),
      decoder,
      counts: { itemsIn: 0, itemsOut: 0, late: 0 },
      durations,
      ladder: new DegradeLadder({ steps: 1, ...LADDER_DEFAULTS }),
      held: [],
      chunk: 0,
      arrivedAtMs: new WeakMap(),
      servedAtMs: this.#options.clock.nowMs(),
    });
  }

  close(sessionId: string): void {
    this.#entries.get(sessionId)?.decoder.dispose();
    this.#entries.delete(sessionId);
  }

  latent(message: LatentMessage): PushResult {
    const entry = this.#entries.get(message.sessionId);
    if (entry === undefined) return 'stale';
    entry.counts.itemsIn += 1;
    entry.arrivedAtMs.set(message, this.#options.clock.nowMs());
    const result = entry.call.push(message);
    this.#wake();
    return result;
  }

  /** What was made of chunks may not have arrived: they may come again and are decoded again. */
  expectAgain(sessionId: string): void {
    this.#entries.get(sessionId)?.call.expectAgain();
  }

  /** Chunks that were read back. Whoever plays them waits for them, so the deadlines they had do not count. */
  again(chunks: readonly LatentMessage[]): void {
    const { clock, geometry } = this.#options;
    for (const [i, chunk] of chunks.entries()) {
      const waitedForUs = clock.wallUs() + (i + 1) * geometry.chunkMs * 1000;
      this.latent({ ...chunk, deadlineUs: chunk.deadlineUs && Math.max(chunk.deadlineUs, waitedForUs) });
    }
  }

  /** @returns chunks given up that waited */
  flush(sessionId: string, epoch: number, fromChunk: number): number {
    return this.#entries.get(sessionId)?.call.flush(epoch, fromChunk) ?? 0;
  }

  stats(): CallStats[] {
    return [...this.#entries].map(([sessionId, { call, counts, durations, chunk }]) => ({
      sessionId,
      epoch: call.epoch,
      chunk,
      dropped: call.dropped,
      ...counts,
      durations,
    }));
  }

  async *run(signal: AbortSignal): AsyncGenerator<DecodeOutput> {
    signal.addEventListener('abort', () => this.#wake(), { once: true });
    while (!signal.aborted) {
      const changed = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      const next = this.#pick();
      if (next === undefined) await changed;
      else yield* this.#decode(next.entry, next.sharedMs);
    }
  }

  async *step(): AsyncGenerator<DecodeOutput> {
    const next = this.#pick();
    if (next !== undefined) yield* this.#decode(next.entry, next.sharedMs);
  }

  /** @returns whose chunk is next, and what is left from now on when everybody else who speaks gets one too */
  #pick(): { entry: Entry; sharedMs: number | undefined } | undefined {
    const { clock, cost, geometry } = this.#options;
    const nowMs = clock.nowMs();
    const ready: Candidate[] = [];
    for (const entry of this.#entries.values()) {
      const { head } = entry.call;
      if (head === undefined) continue;
      ready.push({ entry, dueMs: this.#dueMs(head, nowMs), speaking: head.speaking, servedAtMs: entry.servedAtMs });
    }
    const chosen = pickNext(ready, nowMs, cost.ms, { clocklessEveryMs: CLOCKLESS_EVERY_CHUNKS * geometry.chunkMs });
    if (chosen === undefined) return undefined;
    const left = ready
      .flatMap(({ entry, speaking, dueMs }) =>
        entry !== chosen.entry && speaking && dueMs !== undefined ? [dueMs] : [],
      )
      .sort((a, b) => a - b)
      .map((dueMs, i) => dueMs - nowMs - (i + 1) * cost.ms);
    return { entry: chosen.entry, sharedMs: left.length === 0 ? undefined : Math.min(...left) };
  }

  #dueMs({ deadlineUs }: LatentMessage, nowMs: number): number | undefined {
    const { clock, downstreamMs } = this.#options;
    return deadlineUs === 0 ? undefined : nowMs + (deadlineUs - clock.wallUs()) / 1000 - downstreamMs;
  }

  async *#decode(entry: Entry, sharedMs: number | undefined): AsyncGenerator<DecodeOutput> {
    const { clock, timeline } = this.#options;
    const { call, counts } = entry;
    const message = call.take() as LatentMessage;
    const startMs = clock.nowMs();
    const startUs = nowUs();
    const queueMs = startMs - (entry.arrivedAtMs.get(message) ?? startMs);
    entry.servedAtMs = startMs;
    const degraded = this.#holdReason(entry, message, sharedMs);
    const held = message.held || degraded !== undefined;
    let decoded: DecodedChunk | undefined;
    try {
      decoded = held ? this.#hold(entry, message) : await this.#picture(entry, message);
    } catch (error) {
      if (!this.#holds(entry)) return;
      this.close(call.sessionId);
      yield { type: 'failed', sessionId: call.sessionId, epoch: call.epoch, error };
      return;
    }
    const decodedMs = clock.nowMs();
    const late = message.deadlineUs !== 0 && clock.wallUs() > message.deadlineUs;
    let complete = decoded !== undefined;
    for (const frame of decoded === undefined ? [] : this.#frames(message, decoded, held)) {
      complete = this.#holds(entry) && !call.isStale(message);
      if (!complete) break;
      counts.itemsOut += 1;
      yield { type: 'frame', message: frame };
    }
    const computeMs = decodedMs - startMs;
    if (complete) {
      if (!held) entry.durations.add(computeMs);
      entry.chunk = message.chunk + 1;
      if (late) counts.late += 1;
    }
    const { sessionId, chunk, epoch } = message;
    timeline.span('stage', `decode ${chunk}`, startUs, nowUs(), { sessionId, chunk, epoch, late, held });
    const outcome = !complete ? 'flushed' : late ? 'late' : held ? 'held' : 'ok';
    const publishMs = clock.nowMs() - decodedMs;
    yield { type: 'chunk', outcome, degraded, missing: decoded?.missing ?? 0, queueMs, computeMs, publishMs };
  }

  async #picture(entry: Entry, { chunk, values }: LatentMessage): Promise<DecodedChunk | undefined> {
    const { clock, cost } = this.#options;
    const startMs = clock.nowMs();
    const decoded = await entry.decoder.decode(chunk, values);
    if (decoded === undefined) return undefined;
    cost.add(clock.nowMs() - startMs);
    const between = entry.held.filter((held) => held < chunk && held >= chunk - decoded.missing);
    entry.held = [];
    return { ...decoded, missing: decoded.missing - between.length };
  }

  /** The decoder's state stays as it is: the next chunk follows the last one that was decoded. */
  #hold(entry: Entry, { chunk }: LatentMessage): DecodedChunk {
    if (!entry.held.includes(chunk)) entry.held.push(chunk);
    const nothing = new Uint8Array(0);
    return { frames: Array.from({ length: this.#options.geometry.framesPerChunk }, () => nothing), missing: 0 };
  }

  /** Why a chunk is not decoded though it could be; undefined: it is. */
  #holdReason(entry: Entry, message: LatentMessage, sharedMs: number | undefined): DegradeReason | undefined {
    const { clock, cost, downstreamMs } = this.#options;
    const { held, deadlineUs, speaking, chunk } = message;
    if (held || deadlineUs === 0) return undefined;
    const ownMs = (deadlineUs - clock.wallUs()) / 1000 - downstreamMs;
    const mayHold = chunk > 0 && entry.chunk > 0;
    return entry.ladder.next({ ownMs, sharedMs, costMs: cost.ms, speaking, mayHold }).reason;
  }

  #holds(entry: Entry): boolean {
    return this.#entries.get(entry.call.sessionId) === entry;
  }

  *#frames(message: LatentMessage, decoded: DecodedChunk, held: boolean): Generator<FrameMessage> {
    const { geometry, width, height, fps } = this.#options;
    const { sessionId, epoch, turn, chunk, speaking, endOfTurn, pcm } = message;
    const degraded = message.degraded || held;
    const header = { sessionId, epoch, turn, chunk, speaking, degraded, held, endOfTurn };
    for (const [frame, i420] of decoded.frames.entries()) {
      const position = message.chunk * geometry.framesPerChunk + frame;
      const fromStartUs = (frame * 1e6) / fps;
      yield {
        ...header,
        frame,
        framesInChunk: geometry.framesPerChunk,
        mediaTimeUs: Math.round((position * 1e6) / fps),
        deadlineUs: message.deadlineUs === 0 ? 0 : Math.round(message.deadlineUs + fromStartUs),
        width,
        height,
        i420,
        pcm: pcm.subarray(frame * geometry.samplesPerFrame, (frame + 1) * geometry.samplesPerFrame),
      };
    }
  }
}
