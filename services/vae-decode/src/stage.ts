import type { ChunkGeometry, FrameMessage, LatentMessage } from '@talkmesh/contracts';
import type { DecodedChunk } from '@talkmesh/inference';
import { Call, type PushResult } from './call.js';
import type { Clock } from './clock.js';

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
      readonly outcome: 'ok' | 'late' | 'flushed';
      readonly missing: number;
      readonly queueMs: number;
      readonly computeMs: number;
      readonly publishMs: number;
    }
  | { readonly type: 'failed'; readonly sessionId: string; readonly error: unknown };

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
}

export interface SessionOptions {
  readonly sessionId: string;
  readonly epoch: number;
  readonly queueChunks: number;
}

/**
 * Latent chunks in, frames out, for the sessions of one worker. One chunk is decoded at a time: the one due first; those
 * without a deadline take turns. A late chunk is shown all the same, because its sound belongs to it; it is counted.
 */
export class DecodeStage {
  readonly #options: DecodeStageOptions;
  readonly #entries = new Map<string, Entry>();
  #wake: () => void = () => undefined;

  constructor(options: DecodeStageOptions) {
    this.#options = options;
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
      chunk: 0,
      arrivedAtMs: new WeakMap(),
      servedAtMs: 0,
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
      const entry = this.#pick();
      if (entry === undefined) await changed;
      else yield* this.#decode(entry);
    }
  }

  async *step(): AsyncGenerator<DecodeOutput> {
    const entry = this.#pick();
    if (entry !== undefined) yield* this.#decode(entry);
  }

  #pick(): Entry | undefined {
    let chosen: Entry | undefined;
    let earliest = Number.POSITIVE_INFINITY;
    for (const entry of this.#entries.values()) {
      if (entry.call.head === undefined) continue;
      const dueMs = this.#dueMs(entry, entry.call.head);
      if (dueMs >= earliest) continue;
      earliest = dueMs;
      chosen = entry;
    }
    return chosen;
  }

  /** Without a deadline a session is due one chunk after it was served last. */
  #dueMs({ servedAtMs }: Entry, { deadlineUs }: LatentMessage): number {
    const { clock, geometry } = this.#options;
    if (deadlineUs === 0) return servedAtMs + geometry.chunkMs;
    return clock.nowMs() + (deadlineUs - clock.wallUs()) / 1000;
  }

  async *#decode(entry: Entry): AsyncGenerator<DecodeOutput> {
    const { clock } = this.#options;
    const { call, decoder, counts, durations } = entry;
    const message = call.take() as LatentMessage;
    const startMs = clock.nowMs();
    const queueMs = startMs - (entry.arrivedAtMs.get(message) ?? startMs);
    entry.servedAtMs = startMs;
    let decoded: DecodedChunk | undefined;
    try {
      decoded = await decoder.decode(message.chunk, message.values);
    } catch (error) {
      if (!this.#holds(entry)) return;
      this.close(call.sessionId);
      yield { type: 'failed', sessionId: call.sessionId, error };
      return;
    }
    const decodedMs = clock.nowMs();
    const late = message.deadlineUs !== 0 && clock.wallUs() > message.deadlineUs;
    let complete = decoded !== undefined;
    for (const frame of decoded === undefined ? [] : this.#frames(message, decoded)) {
      complete = this.#holds(entry) && !call.isStale(message);
      if (!complete) break;
      counts.itemsOut += 1;
      yield { type: 'frame', message: frame };
    }
    const computeMs = decodedMs - startMs;
    if (complete) {
      durations.add(computeMs);
      entry.chunk = message.chunk + 1;
      if (late) counts.late += 1;
    }
    const outcome = !complete ? 'flushed' : late ? 'late' : 'ok';
    const publishMs = clock.nowMs() - decodedMs;
    yield { type: 'chunk', outcome, missing: decoded?.missing ?? 0, queueMs, computeMs, publishMs };
  }

  #holds(entry: Entry): boolean {
    return this.#entries.get(entry.call.sessionId) === entry;
  }

  *#frames(message: LatentMessage, decoded: DecodedChunk): Generator<FrameMessage> {
    const { geometry, width, height, fps } = this.#options;
    const { values: _values, part: _part, parts: _parts, pcm, ...header } = message;
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
