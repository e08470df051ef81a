import { type ChunkCost, CLOCKLESS_EVERY_CHUNKS, countLate, type Wanted } from '@talkmesh/inference';
import type { Call } from './call.js';
import type { Clock } from './clock.js';

/** As far as is looked ahead, in chunks: what is due later has its time whatever is done now. */
const AHEAD_CHUNKS = 2;

export interface Served {
  readonly call: Call;
  readonly servedAtMs: number;
}

export interface RemakingOptions {
  readonly clock: Clock;
  readonly cost: ChunkCost;
  readonly depth: number;
  readonly chunkMs: number;
  /** Decoder and egress, for one chunk. */
  readonly downstreamMs: number;
}

/**
 * Whether chunks may be given up and made again. All who begin to speak at one moment want a chunk more than was planned for: some of
 * them wait for the next. Knows what is under way on this worker, and guesses what the decoder has to do.
 */
export class Remaking {
  readonly #o: RemakingOptions;
  readonly #all: () => readonly Served[];
  #busyUntilMs = 0;
  #decodingUntilMs = 0;

  /** @param all every call of this worker */
  constructor(options: RemakingOptions, all: () => readonly Served[]) {
    this.#o = options;
    this.#all = all;
  }

  /** A chunk is begun. @param share of a whole one's work */
  begun(share: number): void {
    const { clock, cost, depth } = this.#o;
    this.#busyUntilMs = clock.nowMs() + (cost.ms * share) / depth;
  }

  /** A chunk of a call is on its way to the decoder, which lets those of recordings wait and is never more than a chunk a call behind. */
  made({ options }: Call): void {
    if (options.unpaced) return;
    const nowMs = this.#o.clock.nowMs();
    const costMs = this.#decoderCostMs;
    const untilMs = Math.max(this.#decodingUntilMs, nowMs) + costMs;
    this.#decodingUntilMs = Math.min(untilMs, nowMs + costMs * this.#all().length);
  }

  /** Not when it makes any chunk late, of any call, that would else be in time. */
  allows(call: Call, chunk: number): boolean {
    const all = this.#all();
    const late = (first: (other: Call) => number): number =>
      this.#countLate(all.flatMap((served) => this.#wanted(served, first(served.call))));
    return late((other) => (other === call ? chunk : other.next)) <= late((other) => other.next);
  }

  /** What a chunk may keep a decoder busy that takes all of them in turn: its own admission lets in no more. */
  get #decoderCostMs(): number {
    const { chunkMs, downstreamMs } = this.#o;
    return Math.min(downstreamMs, (chunkMs - downstreamMs) / Math.max(1, this.#all().length));
  }

  #countLate(wanted: readonly Wanted[]): number {
    const { clock, cost, depth, downstreamMs } = this.#o;
    const nowMs = clock.nowMs();
    const score = { freeAtMs: Math.max(nowMs, this.#busyUntilMs), costMs: cost.ms / depth };
    const decoder = { freeAtMs: Math.max(nowMs, this.#decodingUntilMs), costMs: this.#decoderCostMs };
    return countLate(wanted, score, decoder, downstreamMs);
  }

  /** What one call wants soon, from its chunk `from` on. */
  #wanted({ call, servedAtMs }: Served, from: number): Wanted[] {
    const { clock, chunkMs } = this.#o;
    const nowMs = clock.nowMs();
    const readyAtMs = call.readyAtMs();
    if (!call.position.running) {
      const everyMs = (call.options.unpaced ? CLOCKLESS_EVERY_CHUNKS : 1) * chunkMs;
      return readyAtMs > nowMs ? [] : [{ dueMs: undefined, rankMs: servedAtMs + everyMs }];
    }
    const dueMs = nowMs + (call.position.dueUs(from) - clock.wallUs()) / 1000;
    // Its player stands still and gives no credit: nothing is made until it goes on.
    if (dueMs <= nowMs && readyAtMs === Number.POSITIVE_INFINITY) return [];
    const chunks: Wanted[] = [];
    for (let at = dueMs; at <= nowMs + AHEAD_CHUNKS * chunkMs; at += chunkMs) chunks.push({ dueMs: at, rankMs: at });
    return chunks;
  }
}
