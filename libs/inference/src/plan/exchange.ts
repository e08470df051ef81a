/**
 * How the rank threads of a group swap rows: shared memory, one publisher and many readers. A tensor of the runtime
 * cannot live in shared memory (it refuses SharedArrayBuffer), so a part is copied in once and out once by each reader.
 */

/** What the threads share; made once per group of ranks and given to each. */
export interface ExchangeMemory {
  readonly ranks: number;
  /** Floats a rank can publish at once. */
  readonly slotFloats: number;
  readonly words: SharedArrayBuffer;
  readonly slots: SharedArrayBuffer;
}

/** Why an exchange cannot go on. */
export class ExchangeError extends Error {
  /** The rank that failed or was not there in time; undefined: the group was ended. */
  readonly culprit: number | undefined;

  constructor(message: string, culprit: number | undefined) {
    super(message);
    this.culprit = culprit;
  }
}

/** Slots of a rank, used in turn: so many parts may be on their way before a publisher waits for the slowest reader. */
const SLOTS = 3;
/** Word 0 counts changes and is what everybody sleeps on; word 1 is 0, or says who failed. */
const SIGNAL = 0;
const FAILED = 1;
const HEADER = 2;
const ENDED = -1;

export function createExchangeMemory(ranks: number, slotFloats: number): ExchangeMemory {
  return {
    ranks,
    slotFloats,
    words: new SharedArrayBuffer((HEADER + 2 * ranks) * Int32Array.BYTES_PER_ELEMENT),
    slots: new SharedArrayBuffer(ranks * SLOTS * slotFloats * Float32Array.BYTES_PER_ELEMENT),
  };
}

/** Releases everybody who waits, with an error. @param culprit the rank that failed; undefined: the group ends */
export function failExchange(memory: ExchangeMemory, culprit: number | undefined): void {
  const words = new Int32Array(memory.words);
  Atomics.compareExchange(words, FAILED, 0, culprit === undefined ? ENDED : culprit + 1);
  Atomics.add(words, SIGNAL, 1);
  Atomics.notify(words, SIGNAL);
}

/**
 * One rank's end of the exchange. Every rank publishes parts in the same order; part g of a rank is answered by part g of
 * the others. Parts are numbered without end; only their low 32 bits are shared, compared by difference.
 */
export class Exchange {
  readonly #rank: number;
  readonly #memory: ExchangeMemory;
  readonly #deadlineMs: number;
  readonly #words: Int32Array;
  readonly #slots: Float32Array;
  #published: number;
  #waitedUs = 0;

  /** @param deadlineMs how long a rank may be waited for @param firstPart for tests; the same in all ranks */
  constructor(memory: ExchangeMemory, rank: number, deadlineMs: number, firstPart = 0) {
    this.#memory = memory;
    this.#rank = rank;
    this.#deadlineMs = deadlineMs;
    this.#words = new Int32Array(memory.words);
    this.#slots = new Float32Array(memory.slots);
    this.#published = firstPart;
    for (const counter of [this.#publishedWord(rank), this.#consumedWord(rank)])
      Atomics.store(this.#words, counter, firstPart | 0);
  }

  /** Time spent waiting for others so far, microseconds. */
  get waitedUs(): number {
    return this.#waitedUs;
  }

  /**
   * Gives this rank's next part to the others. Waits only for readers who are `SLOTS` parts behind.
   * @returns the part's number, for `take` and `done`
   * @throws ExchangeError when another rank failed or did not come in time
   */
  publish(...rows: readonly Float32Array[]): number {
    const part = this.#published++;
    for (let rank = 0; rank < this.#memory.ranks; rank++)
      if (rank !== this.#rank) this.#waitFor(this.#consumedWord(rank), part - SLOTS + 1, rank);
    let at = this.#offset(this.#rank, part);
    const end = at + this.#memory.slotFloats;
    for (const values of rows) {
      if (at + values.length > end) throw new RangeError(`a part has at most ${this.#memory.slotFloats} floats`);
      this.#slots.set(values, at);
      at += values.length;
    }
    this.#advance(this.#publishedWord(this.#rank), part + 1);
    return part;
  }

  /** Whether a rank's part is there, so that `take` would not wait. */
  arrived(part: number, rank: number): boolean {
    return isReached(Atomics.load(this.#words, this.#publishedWord(rank)), part + 1);
  }

  /**
   * A rank's part, in place: read it before `done`.
   * @throws ExchangeError when that rank, or any other, failed or did not come in time
   */
  take(part: number, rank: number): Float32Array {
    this.#waitFor(this.#publishedWord(rank), part + 1, rank);
    const at = this.#offset(rank, part);
    return this.#slots.subarray(at, at + this.#memory.slotFloats);
  }

  /** This rank has read everybody's part of that number, and of those before it. */
  done(part: number): void {
    this.#advance(this.#consumedWord(this.#rank), part + 1);
  }

  #waitFor(word: number, count: number, rank: number): void {
    if (isReached(Atomics.load(this.#words, word), count) && Atomics.load(this.#words, FAILED) === 0) return;
    const start = performance.now();
    const end = start + this.#deadlineMs;
    for (;;) {
      // The signal is read first: whatever changes after that wakes, or never lets sleep.
      const seen = Atomics.load(this.#words, SIGNAL);
      const failed = Atomics.load(this.#words, FAILED);
      if (failed === ENDED) throw new ExchangeError('the group was ended', undefined);
      if (failed !== 0) throw new ExchangeError(`rank ${failed - 1} failed`, failed - 1);
      if (isReached(Atomics.load(this.#words, word), count)) break;
      const leftMs = end - performance.now();
      if (leftMs <= 0) {
        failExchange(this.#memory, rank);
        throw new ExchangeError(`rank ${rank} did not come within ${this.#deadlineMs} ms`, rank);
      }
      Atomics.wait(this.#words, SIGNAL, seen, leftMs);
    }
    this.#waitedUs += (performance.now() - start) * 1000;
  }

  #advance(word: number, count: number): void {
    Atomics.store(this.#words, word, count | 0);
    Atomics.add(this.#words, SIGNAL, 1);
    Atomics.notify(this.#words, SIGNAL);
  }

  #offset(rank: number, part: number): number {
    return (rank * SLOTS + (part % SLOTS)) * this.#memory.slotFloats;
  }

  #publishedWord(rank: number): number {
    return HEADER + rank;
  }

  #consumedWord(rank: number): number {
    return HEADER + this.#memory.ranks + rank;
  }
}

/** Counters run through all 32-bit values; they are never 2^31 apart. */
function isReached(counter: number, count: number): boolean {
  return ((counter - (count | 0)) | 0) >= 0;
}
