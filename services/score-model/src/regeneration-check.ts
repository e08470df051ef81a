import type { Clock } from '@talkmesh/chunk-worker';
import { type ChunkCost, CLOCKLESS_EVERY_CHUNKS, countLate, type ExpectedChunk } from '@talkmesh/chunk-worker';
import type { ChunkPlanner } from './chunk-planner.js';

/** Horizon in chunks: a chunk due later is in time whatever is done now. */
const AHEAD_CHUNKS = 2;

export interface ServedSession {
  readonly planner: ChunkPlanner;
  readonly servedAtMs: number;
  /** `cost`: time of a chunk, as a multiple of that of `balanced`. */
  readonly tier: { readonly cost: number };
}

export interface RegenerationOptions {
  readonly clock: Clock;
  readonly cost: ChunkCost;
  readonly depth: number;
  readonly chunkMs: number;
  /** Time of decoder and egress for one chunk, milliseconds. */
  readonly downstreamMs: number;
}

/**
 * Decides whether idle chunks may be flushed and regenerated. When several sessions begin to speak at once, each asks for additional
 * chunks, and not all of them fit. The load of this worker is known; that of the decoder is estimated.
 */
export class RegenerationCheck {
  readonly #options: RegenerationOptions;
  readonly #sessions: () => readonly ServedSession[];
  #busyUntilMs = 0;
  #decodingUntilMs = 0;

  /** @param all every session of this worker */
  constructor(options: RegenerationOptions, all: () => readonly ServedSession[]) {
    this.#options = options;
    this.#sessions = all;
  }

  /** @param share of the work of a whole chunk of `balanced` that is started now */
  onGenerationStart(share: number): void {
    const { clock, cost, depth } = this.#options;
    this.#busyUntilMs = clock.nowMs() + (cost.ms * share) / depth;
  }

  /** Counts a chunk as decoder load. Recordings have no deadline and wait; the decoder's backlog is at most one chunk per session. */
  onGenerated({ options }: ChunkPlanner): void {
    if (options.unpaced) return;
    const nowMs = this.#options.clock.nowMs();
    const costMs = this.#decoderCostMs;
    const untilMs = Math.max(this.#decodingUntilMs, nowMs) + costMs;
    this.#decodingUntilMs = Math.min(untilMs, nowMs + costMs * this.#sessions().length);
  }

  /** False when regenerating from `chunk` makes more chunks late, of any session, than leaving it as it is. */
  canRegenerate(call: ChunkPlanner, chunk: number): boolean {
    const all = this.#sessions();
    const late = (first: (other: ChunkPlanner) => number): number =>
      this.#countLate(all.flatMap((served) => this.#expectedChunks(served, first(served.planner))));
    return late((other) => (other === call ? chunk : other.next)) <= late((other) => other.next);
  }

  /** Upper bound of a chunk's decoding time: the decoder's admission control accepts no more load than this. */
  get #decoderCostMs(): number {
    const { chunkMs, downstreamMs } = this.#options;
    return Math.min(downstreamMs, (chunkMs - downstreamMs) / Math.max(1, this.#sessions().length));
  }

  /** The dearest session stands for all, so that the estimate is never too short. */
  get #largestCost(): number {
    return Math.max(0, ...this.#sessions().map(({ tier }) => tier.cost));
  }

  #countLate(wanted: readonly ExpectedChunk[]): number {
    const { clock, cost, depth, downstreamMs } = this.#options;
    const nowMs = clock.nowMs();
    const score = { freeAtMs: Math.max(nowMs, this.#busyUntilMs), costMs: (cost.ms / depth) * this.#largestCost };
    const decoder = { freeAtMs: Math.max(nowMs, this.#decodingUntilMs), costMs: this.#decoderCostMs };
    return countLate(wanted, score, decoder, downstreamMs);
  }

  /** Chunks of one session that are due within the horizon, beginning with chunk `from`. */
  #expectedChunks({ planner, servedAtMs }: ServedSession, from: number): ExpectedChunk[] {
    const { clock, chunkMs } = this.#options;
    const nowMs = clock.nowMs();
    const readyAtMs = planner.readyAtMs();
    if (!planner.position.isRunning) {
      const everyMs = (planner.options.unpaced ? CLOCKLESS_EVERY_CHUNKS : 1) * chunkMs;
      return readyAtMs > nowMs ? [] : [{ dueMs: undefined, rankMs: servedAtMs + everyMs }];
    }
    const dueMs = nowMs + (planner.position.dueUs(from) - clock.wallUs()) / 1000;
    // The player has stalled and grants no credit: no chunk is generated until it plays on.
    if (dueMs <= nowMs && readyAtMs === Number.POSITIVE_INFINITY) return [];
    const chunks: ExpectedChunk[] = [];
    for (let at = dueMs; at <= nowMs + AHEAD_CHUNKS * chunkMs; at += chunkMs) chunks.push({ dueMs: at, rankMs: at });
    return chunks;
  }
}
