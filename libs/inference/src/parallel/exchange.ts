/**
 * The shared memory through which the rank threads of a group exchange rows: each rank publishes parts, the others read
 * them. ONNX Runtime does not accept a SharedArrayBuffer as a tensor, so a part is copied in once and out once per reader.
 */

/** What the threads share. It is created once per start of a group and passed to each rank. */
export interface ExchangeMemory {
  readonly ranks: number;
  /** Number of floats that one part can hold. */
  readonly slotFloats: number;
  readonly words: SharedArrayBuffer;
  readonly slots: SharedArrayBuffer;
}

/** The exchange has failed and cannot be used any more. */
export class ExchangeError extends Error {
  /** The rank that failed or missed the deadline; undefined: the group was ended. */
  readonly culprit: number | undefined;

  constructor(message: string, culprit: number | undefined) {
    super(message);
    this.culprit = culprit;
  }
}

/** Ring of slots per rank: a publisher can be this many parts ahead of its slowest reader before it waits. */
const SLOTS = 3;
/** Word 0 counts changes; waiting ranks sleep on it. Word 1 is 0, or ENDED, or the rank that failed plus 1. */
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

/** Makes every waiting rank throw. @param culprit the rank that failed; undefined: the group ends */
export function failExchange(memory: ExchangeMemory, culprit: number | undefined): void {
  const words = new Int32Array(memory.words);
  Atomics.compareExchange(words, FAILED, 0, culprit === undefined ? ENDED : culprit + 1);
  Atomics.add(words, SIGNAL, 1);
  Atomics.notify(words, SIGNAL);
}

/**
 * One rank's access to the exchange. Every rank publishes its parts in the same order, so part g of one rank belongs to
 * part g of the others. Part numbers are unbounded; only their low 32 bits are shared, and they are compared by difference.
 */
export class Exchange {
  readonly #rank: number;
  readonly #memory: ExchangeMemory;
  readonly #deadlineMs: number;
  readonly #words: Int32Array;
  readonly #slots: Float32Array;
  #published: number;
  #waitedUs = 0;
  #readFloats = 0;

  /**
   * @param deadlineMs longest wait for another rank
   * @param firstPart number of the first part, equal in all ranks; for tests
   */
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

  /** Total time spent waiting for other ranks, microseconds. */
  get waitedUs(): number {
    return this.#waitedUs;
  }

  /** Total number of floats that this rank read of the others' parts. */
  get readFloats(): number {
    return this.#readFloats;
  }

  /**
   * Publishes this rank's next part. Waits only for readers that are `SLOTS` parts behind.
   * @returns the part's number, for `take` and `done`
   * @throws ExchangeError when another rank failed or missed the deadline
   */
  publish(...rows: readonly Float32Array[]): number {
    const part = this.#published++;
    for (let rank = 0; rank < this.#memory.ranks; rank++)
      if (rank !== this.#rank) this.#waitFor(this.#consumedWord(rank), part - SLOTS + 1, rank);
    let at = this.#offset(this.#rank, part);
    const end = at + this.#memory.slotFloats;
    for (const values of rows) {
      if (at + values.length > end)
        throw new RangeError(
          `a part holds at most ${this.#memory.slotFloats} floats; create the exchange memory with larger slots`,
        );
      this.#slots.set(values, at);
      at += values.length;
    }
    this.#advance(this.#publishedWord(this.#rank), part + 1);
    return part;
  }

  /** Whether a rank has published the part, so that `take` would not wait. */
  arrived(part: number, rank: number): boolean {
    return isReached(Atomics.load(this.#words, this.#publishedWord(rank)), part + 1);
  }

  /**
   * Waits for a rank's part and returns a view of the shared memory, valid until `done`.
   * @throws ExchangeError when any rank failed or that rank missed the deadline
   */
  take(part: number, rank: number): Float32Array {
    this.#waitFor(this.#publishedWord(rank), part + 1, rank);
    const at = this.#offset(rank, part);
    return this.#slots.subarray(at, at + this.#memory.slotFloats);
  }

  /** Reports that this rank has read this part, and all earlier ones, of every other rank. @param floats how much of them */
  done(part: number, floats = 0): void {
    this.#readFloats += floats;
    this.#advance(this.#consumedWord(this.#rank), part + 1);
  }

  #waitFor(word: number, count: number, rank: number): void {
    if (isReached(Atomics.load(this.#words, word), count) && Atomics.load(this.#words, FAILED) === 0) return;
    const start = performance.now();
    const end = start + this.#deadlineMs;
    for (;;) {
      // The signal must be read first: a change after this line makes Atomics.wait return at once, so none is missed.
      const seen = Atomics.load(this.#words, SIGNAL);
      const failed = Atomics.load(this.#words, FAILED);
      if (failed === ENDED) throw new ExchangeError('the group was ended', undefined);
      if (failed !== 0) throw new ExchangeError(`rank ${failed - 1} failed`, failed - 1);
      if (isReached(Atomics.load(this.#words, word), count)) break;
      const leftMs = end - performance.now();
      if (leftMs <= 0) {
        failExchange(this.#memory, rank);
        throw new ExchangeError(
          `rank ${rank} did not reach the exchange within ${this.#deadlineMs} ms (TALKMESH_RANK_DEADLINE_MS)`,
          rank,
        );
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

/** Counters wrap around at 32 bits. The signed difference is right because they are never 2^31 apart. */
function isReached(counter: number, count: number): boolean {
  return ((counter - (count | 0)) | 0) >= 0;
}
