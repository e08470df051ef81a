import {
  ChunkCost,
  CLOCKLESS_EVERY_CHUNKS,
  type Clock,
  DegradeLadder,
  type DegradeReason,
  type Durations,
  LADDER_DEFAULTS,
  largest,
  pickNext,
  type Ready,
  sharedSlackMs,
} from '@talkmesh/chunk-worker';
import type { ChunkGeometry, FrameMessage, LatentMessage, PictureSize } from '@talkmesh/contracts';
import { type DecodedChunk, NO_TIMELINE, type Timeline } from '@talkmesh/inference';
import { ChunkQueue, type PushResult } from './chunk-queue.js';

/** Decodes the chunks of one session, see DecoderSession of the inference library. */
export interface ChunkDecoder {
  decode(chunk: number, values: Float32Array): Promise<DecodedChunk | undefined>;
  rollback(fromChunk: number): void;
  dispose(): void;
}

/** Watches the chunks of one session whose frames were sent. */
export interface MouthWatch {
  add(message: LatentMessage): void;
}

export type DecodeOutput =
  /** `source`: the chunk that it was decoded from. */
  | { readonly type: 'frame'; readonly message: FrameMessage; readonly source: LatentMessage }
  /** After the last frame of a chunk. `missing`: chunks lost before it. */
  | {
      readonly type: 'chunk';
      readonly source: LatentMessage;
      readonly outcome: 'ok' | 'late' | 'held' | 'flushed';
      /** Why this worker held the chunk; chunks that score-model held are counted there. */
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
export interface SessionFigures extends Readonly<Counts> {
  readonly sessionId: string;
  readonly epoch: number;
  readonly chunk: number;
  readonly dropped: number;
  readonly durations: Durations;
}

/** Size of a session's frames, and the time of a chunk as a multiple of that of the model's own size, which `ChunkCost` measures. */
export type SessionSize = Pick<PictureSize, 'width' | 'height' | 'cost'>;

interface Entry {
  readonly queue: ChunkQueue;
  readonly size: SessionSize;
  readonly decoder: ChunkDecoder;
  readonly counts: Counts;
  readonly durations: Durations;
  readonly mouth: MouthWatch | undefined;
  readonly ladder: DegradeLadder;
  /** Chunks held since the last decoded one: they do not count as missing. */
  held: number[];
  chunk: number;
  readonly arrivedAtMs: WeakMap<LatentMessage, number>;
  servedAtMs: number;
}

export interface DecodeSchedulerOptions {
  readonly geometry: ChunkGeometry;
  readonly fps: number;
  readonly clock: Clock;
  /** Cost of a chunk; shared with the admission control. */
  readonly cost?: ChunkCost;
  /** Time that the egress needs after a chunk was decoded, milliseconds. */
  readonly downstreamMs?: number;
  readonly timeline?: Timeline;
}

export interface SessionOptions {
  readonly sessionId: string;
  readonly epoch: number;
  readonly queueChunks: number;
  readonly size: SessionSize;
  readonly mouth?: MouthWatch | undefined;
}

interface Candidate extends Ready {
  readonly entry: Entry;
}

/**
 * Decodes latent chunks into frames for the sessions of one worker. One chunk is decoded at a time: earliest deadline first,
 * speech before idle when not all can be in time. A chunk that would be late is sent as held frames: its sound is in time, and the
 * previous frame stays.
 */
export class DecodeScheduler {
  readonly #options: Required<DecodeSchedulerOptions>;
  readonly #entries = new Map<string, Entry>();
  #wake: () => void = () => undefined;

  constructor(options: DecodeSchedulerOptions) {
    this.#options = { cost: new ChunkCost(0), downstreamMs: 0, timeline: NO_TIMELINE, ...options };
  }

  get sessions(): number {
    return this.#entries.size;
  }

  /** Chunks of all sessions that wait to be decoded. */
  get waitingChunks(): number {
    return [...this.#entries.values()].reduce((sum, { queue }) => sum + queue.size, 0);
  }

  open(
    { sessionId, epoch, queueChunks, size, mouth }: SessionOptions,
    decoder: ChunkDecoder,
    durations: Durations,
  ): void {
    const rollback = (fromChunk: number): void => decoder.rollback(fromChunk);
    this.#entries.set(sessionId, {
      queue: new ChunkQueue({ sessionId, epoch, capacity: queueChunks, rollback }),
      decoder,
      size,
      counts: { itemsIn: 0, itemsOut: 0, late: 0 },
      durations,
      mouth,
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
    const result = entry.queue.push(message);
    this.#wake();
    return result;
  }

  /** Frames may not have arrived at the egress: republished chunks are decoded once more. */
  acceptRepeats(sessionId: string): void {
    this.#entries.get(sessionId)?.queue.acceptRepeats();
  }

  /** Queues chunks that were read back. The egress waits for them, so their old deadlines do not count. */
  requeue(chunks: readonly LatentMessage[]): void {
    const { clock, geometry } = this.#options;
    for (const [i, chunk] of chunks.entries()) {
      const waitedForUs = clock.wallUs() + (i + 1) * geometry.chunkMs * 1000;
      this.latent({ ...chunk, deadlineUs: chunk.deadlineUs && Math.max(chunk.deadlineUs, waitedForUs) });
    }
  }

  /** @returns queued chunks that were dropped */
  flush(sessionId: string, epoch: number, fromChunk: number): number {
    return this.#entries.get(sessionId)?.queue.flush(epoch, fromChunk) ?? 0;
  }

  stats(): SessionFigures[] {
    return [...this.#entries].map(([sessionId, { queue, counts, durations, chunk }]) => ({
      sessionId,
      epoch: queue.epoch,
      chunk,
      dropped: queue.dropped,
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

  /** @returns the session to serve next, and its slack for the other speaking sessions */
  #pick(): { entry: Entry; sharedMs: number | undefined } | undefined {
    const { clock, cost, geometry } = this.#options;
    const nowMs = clock.nowMs();
    const ready: Candidate[] = [];
    for (const entry of this.#entries.values()) {
      const { head } = entry.queue;
      if (head === undefined) continue;
      ready.push({ entry, dueMs: this.#dueMs(head, nowMs), speaking: head.speaking, servedAtMs: entry.servedAtMs });
    }
    const costMs = cost.ms * largest(ready, ({ entry }) => entry.size.cost);
    const chosen = pickNext(ready, nowMs, costMs, { clocklessEveryMs: CLOCKLESS_EVERY_CHUNKS * geometry.chunkMs });
    if (chosen === undefined) return undefined;
    return { entry: chosen.entry, sharedMs: sharedSlackMs(ready, chosen, nowMs, costMs) };
  }

  #dueMs({ deadlineUs }: LatentMessage, nowMs: number): number | undefined {
    const { clock, downstreamMs } = this.#options;
    return deadlineUs === 0 ? undefined : nowMs + (deadlineUs - clock.wallUs()) / 1000 - downstreamMs;
  }

  async *#decode(entry: Entry, sharedMs: number | undefined): AsyncGenerator<DecodeOutput> {
    const { clock, timeline } = this.#options;
    const { queue, counts } = entry;
    const message = queue.take() as LatentMessage;
    const startMs = clock.nowMs();
    const startUs = clock.traceUs();
    const queueMs = startMs - (entry.arrivedAtMs.get(message) ?? startMs);
    entry.servedAtMs = startMs;
    const degraded = this.#holdReason(entry, message, sharedMs);
    const held = message.held || degraded !== undefined;
    let decoded: DecodedChunk | undefined;
    try {
      decoded = held ? this.#hold(entry, message) : await this.#decodeFrames(entry, message);
    } catch (error) {
      if (!this.#holds(entry)) return;
      this.close(queue.sessionId);
      yield { type: 'failed', sessionId: queue.sessionId, epoch: queue.epoch, error };
      return;
    }
    const decodedMs = clock.nowMs();
    const late = message.deadlineUs !== 0 && clock.wallUs() > message.deadlineUs;
    let complete = decoded !== undefined;
    for (const frame of decoded === undefined ? [] : this.#frames(entry, message, decoded, held)) {
      complete = this.#holds(entry) && !queue.isStale(message);
      if (!complete) break;
      counts.itemsOut += 1;
      yield { type: 'frame', message: frame, source: message };
    }
    const computeMs = decodedMs - startMs;
    if (complete) {
      if (!held) {
        entry.durations.add(computeMs);
        entry.mouth?.add(message);
      }
      entry.chunk = message.chunk + 1;
      if (late) counts.late += 1;
    }
    const { sessionId, chunk, epoch } = message;
    timeline.span('stage', `decode ${chunk}`, startUs, clock.traceUs(), { sessionId, chunk, epoch, late, held });
    const outcome = !complete ? 'flushed' : late ? 'late' : held ? 'held' : 'ok';
    const publishMs = clock.nowMs() - decodedMs;
    const missing = decoded?.missing ?? 0;
    yield { type: 'chunk', source: message, outcome, degraded, missing, queueMs, computeMs, publishMs };
  }

  async #decodeFrames(entry: Entry, { chunk, values }: LatentMessage): Promise<DecodedChunk | undefined> {
    const { clock, cost } = this.#options;
    const startMs = clock.nowMs();
    const decoded = await entry.decoder.decode(chunk, values);
    if (decoded === undefined) return undefined;
    cost.add(clock.nowMs() - startMs, entry.size.cost);
    const between = entry.held.filter((held) => held < chunk && held >= chunk - decoded.missing);
    entry.held = [];
    return { ...decoded, missing: decoded.missing - between.length };
  }

  /** The decoder's state is unchanged: the next chunk follows the last decoded one. */
  #hold(entry: Entry, { chunk }: LatentMessage): DecodedChunk {
    if (!entry.held.includes(chunk)) entry.held.push(chunk);
    const nothing = new Uint8Array(0);
    return { frames: Array.from({ length: this.#options.geometry.framesPerChunk }, () => nothing), missing: 0 };
  }

  /** Why a chunk is held instead of decoded; undefined: it is decoded. */
  #holdReason(entry: Entry, message: LatentMessage, sharedMs: number | undefined): DegradeReason | undefined {
    const { clock, cost, downstreamMs } = this.#options;
    const costMs = cost.ms * entry.size.cost;
    const { held, deadlineUs, speaking, chunk } = message;
    if (held || deadlineUs === 0) return undefined;
    const ownMs = (deadlineUs - clock.wallUs()) / 1000 - downstreamMs;
    const mayHold = chunk > 0 && entry.chunk > 0;
    return entry.ladder.next({ ownMs, sharedMs, costMs, speaking, mayHold }).reason;
  }

  #holds(entry: Entry): boolean {
    return this.#entries.get(entry.queue.sessionId) === entry;
  }

  *#frames(
    { size: { width, height } }: Entry,
    message: LatentMessage,
    decoded: DecodedChunk,
    held: boolean,
  ): Generator<FrameMessage> {
    const { geometry, fps } = this.#options;
    const { sessionId, epoch, turn, chunk, speaking, endOfTurn, endsIdle, pcm, speechSamples, turnSamples } = message;
    const degraded = message.degraded || held;
    const header = { sessionId, epoch, turn, chunk, speaking, degraded, held, endOfTurn, endsIdle };
    for (const [frame, i420] of decoded.frames.entries()) {
      const position = message.chunk * geometry.framesPerChunk + frame;
      const frameEnd = (frame + 1) * geometry.samplesPerFrame;
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
        pcm: pcm.subarray(frame * geometry.samplesPerFrame, frameEnd),
        turnSamples: turn === 0 ? 0 : turnSamples - speechSamples + Math.min(speechSamples, frameEnd),
      };
    }
  }
}
