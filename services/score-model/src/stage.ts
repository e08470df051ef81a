import type { ChunkGeometry, LatentMessage, PlayheadMessage } from '@talkmesh/contracts';
import type { GeneratedChunk } from '@talkmesh/inference';
import { Call, type CallOptions, type Flush, type Job } from './call.js';
import type { Clock } from './clock.js';

/** What makes chunks: one per session, see ScoreSession of the inference library. */
export interface ChunkMaker {
  generate(chunk: number, pcm: Int16Array, maxSteps?: number): Promise<GeneratedChunk | undefined>;
  rollback(fromChunk: number): void;
  dispose(): void;
}

/** Durations of one session's chunks, milliseconds; p(0.5) is the median, 0 while there are none. */
export interface Percentiles {
  add(ms: number): void;
  p(q: number): number;
}

export type ScoreOutput =
  | {
      readonly type: 'latent';
      readonly message: LatentMessage;
      readonly queueMs: number;
      readonly computeMs: number;
      readonly late: boolean;
    }
  /** A chunk was given up while it was made: flushed, or its session closed. */
  | { readonly type: 'discarded'; readonly sessionId: string }
  | { readonly type: 'failed'; readonly sessionId: string; readonly epoch: number; readonly error: unknown };

interface Counts {
  itemsIn: number;
  itemsOut: number;
  dropped: number;
  late: number;
}

export interface CallStats extends Readonly<Counts> {
  readonly sessionId: string;
  readonly epoch: number;
  readonly chunk: number;
  readonly durations: Percentiles;
}

interface Entry {
  readonly call: Call;
  readonly maker: ChunkMaker;
  readonly counts: Counts;
  readonly durations: Percentiles;
  busy: boolean;
  /** When the chunk that comes next could have been begun. */
  readySinceMs: number | undefined;
  servedAtMs: number;
}

export interface ScoreStageOptions {
  readonly geometry: ChunkGeometry;
  readonly steps: number;
  readonly clock: Clock;
}

/**
 * Speech in, latent chunks out, for the sessions of one worker. One chunk is made at a time; among the sessions that may
 * go on, the one due first is served, and those without a clock take turns.
 */
export class ScoreStage {
  readonly #options: ScoreStageOptions;
  readonly #entries = new Map<string, Entry>();
  #wake: () => void = () => undefined;

  constructor(options: ScoreStageOptions) {
    this.#options = options;
  }

  get sessions(): number {
    return this.#entries.size;
  }

  open(options: CallOptions, maker: ChunkMaker, durations: Percentiles): void {
    this.#entries.set(options.sessionId, {
      call: new Call(options, this.#options.geometry, this.#options.clock),
      maker,
      counts: { itemsIn: 0, itemsOut: 0, dropped: 0, late: 0 },
      durations,
      busy: false,
      readySinceMs: undefined,
      servedAtMs: 0,
    });
    this.#wake();
  }

  close(sessionId: string): void {
    this.#entries.get(sessionId)?.maker.dispose();
    this.#entries.delete(sessionId);
    this.#wake();
  }

  speech(sessionId: string, turn: number, pcm: Int16Array, endOfTurn: boolean): { accepted: boolean; flush?: Flush } {
    const entry = this.#entries.get(sessionId);
    if (entry === undefined) return { accepted: true };
    entry.counts.itemsIn += 1;
    const { result, flush } = entry.call.onSpeech(turn, pcm, endOfTurn);
    if (result === 'stale' || result === 'full') entry.counts.dropped += 1;
    if (flush !== undefined) entry.maker.rollback(flush.fromChunk);
    this.#wake();
    return { accepted: result !== 'full', ...(flush !== undefined && { flush }) };
  }

  /** @param turn the turn to cut; 0: whatever is being said */
  interrupt(sessionId: string, turn: number): Flush | undefined {
    const entry = this.#entries.get(sessionId);
    const flush = entry?.call.onInterrupt(turn).flush;
    if (entry === undefined || flush === undefined) return undefined;
    entry.maker.rollback(flush.fromChunk);
    this.#wake();
    return flush;
  }

  playhead(message: PlayheadMessage): void {
    this.#entries.get(message.sessionId)?.call.onPlayhead(message);
    this.#wake();
  }

  stats(): CallStats[] {
    return [...this.#entries].map(([sessionId, { call, counts, durations }]) => ({
      sessionId,
      epoch: call.epoch,
      chunk: call.next,
      ...counts,
      durations,
    }));
  }

  async *run(signal: AbortSignal): AsyncGenerator<ScoreOutput> {
    signal.addEventListener('abort', () => this.#wake(), { once: true });
    while (!signal.aborted) {
      const changed = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      const { entry, waitMs } = this.#pick();
      if (entry !== undefined) yield await this.#make(entry);
      else await this.#rest(changed, waitMs);
    }
  }

  async step(): Promise<ScoreOutput | undefined> {
    const { entry } = this.#pick();
    return entry === undefined ? undefined : this.#make(entry);
  }

  #pick(): { entry?: Entry; waitMs: number } {
    const nowMs = this.#options.clock.nowMs();
    let chosen: Entry | undefined;
    let earliest = Number.POSITIVE_INFINITY;
    let wakeAtMs = Number.POSITIVE_INFINITY;
    for (const entry of this.#entries.values()) {
      const readyAtMs = entry.busy ? Number.POSITIVE_INFINITY : entry.call.readyAtMs();
      if (readyAtMs > nowMs) {
        entry.readySinceMs = undefined;
        wakeAtMs = Math.min(wakeAtMs, readyAtMs);
        continue;
      }
      entry.readySinceMs ??= nowMs;
      const dueMs = this.#dueMs(entry, nowMs);
      if (dueMs >= earliest) continue;
      earliest = dueMs;
      chosen = entry;
    }
    return chosen === undefined ? { waitMs: wakeAtMs - nowMs } : { entry: chosen, waitMs: 0 };
  }

  /** Without a clock a session is due one chunk after it was served last. */
  #dueMs({ call, servedAtMs }: Entry, nowMs: number): number {
    const dueUs = call.position.dueUs(call.next);
    if (dueUs === 0) return servedAtMs + this.#options.geometry.chunkMs;
    return nowMs + (dueUs - this.#options.clock.wallUs()) / 1000;
  }

  async #make(entry: Entry): Promise<ScoreOutput> {
    const { clock } = this.#options;
    const startMs = clock.nowMs();
    const queueMs = startMs - (entry.readySinceMs ?? startMs);
    const job = entry.call.begin();
    entry.readySinceMs = undefined;
    entry.servedAtMs = startMs;
    entry.busy = true;
    const { sessionId } = entry.call.options;
    try {
      const made = await entry.maker.generate(job.chunk, job.pcm, this.#affordableSteps(entry, job));
      if (made === undefined) {
        entry.counts.dropped += 1;
        return { type: 'discarded', sessionId };
      }
      const computeMs = clock.nowMs() - startMs;
      if (made.steps === this.#options.steps) entry.durations.add(computeMs);
      const late = job.deadlineUs !== 0 && clock.wallUs() > job.deadlineUs;
      entry.counts.itemsOut += 1;
      if (late) entry.counts.late += 1;
      return { type: 'latent', message: this.#message(sessionId, job, made), queueMs, computeMs, late };
    } catch (error) {
      if (this.#entries.get(sessionId) !== entry) return { type: 'discarded', sessionId };
      this.close(sessionId);
      return { type: 'failed', sessionId, epoch: job.epoch, error };
    } finally {
      entry.busy = false;
    }
  }

  /** A chunk that cannot be made in time takes fewer steps, at least one. */
  #affordableSteps({ durations }: Entry, { deadlineUs }: Job): number {
    const { steps, clock } = this.#options;
    const expectedMs = durations.p(0.5);
    if (deadlineUs === 0 || expectedMs === 0) return steps;
    const leftMs = (deadlineUs - clock.wallUs()) / 1000;
    return Math.max(1, Math.min(steps, Math.floor((leftMs / expectedMs) * steps)));
  }

  #message(sessionId: string, job: Job, made: GeneratedChunk): LatentMessage {
    const { chunk, epoch, turn, deadlineUs, pcm, speaking, endOfTurn } = job;
    return {
      sessionId,
      epoch,
      turn,
      chunk,
      mediaTimeUs: Math.round(chunk * this.#options.geometry.chunkMs * 1000),
      deadlineUs,
      part: 0,
      parts: 1,
      values: made.values,
      pcm,
      speaking,
      degraded: made.steps < this.#options.steps,
      endOfTurn,
    };
  }

  async #rest(changed: Promise<void>, waitMs: number): Promise<void> {
    const woken = new AbortController();
    await Promise.race([changed, this.#options.clock.sleep(waitMs, woken.signal)]);
    woken.abort();
  }
}
