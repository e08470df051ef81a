const WINDOW = 64;

/**
 * Cost of a chunk on this worker, milliseconds: the median of its last chunks, because one slow chunk, for example during a
 * garbage collection, does not predict the next.
 */
export class ChunkCost {
  readonly #window = new Float64Array(WINDOW);
  #count = 0;
  #medianMs: number;

  /** @param warmUpMs cost of a chunk as measured at the start, milliseconds */
  constructor(warmUpMs: number) {
    this.#medianMs = warmUpMs;
  }

  /** @param part of the work of one chunk of the model's own quality and size that was done: one step of two is 0.5, a larger picture more than 1 */
  add(ms: number, part = 1): void {
    this.#window[this.#count++ % WINDOW] = ms / part;
    const sorted = this.#window.slice(0, Math.min(this.#count, WINDOW)).sort();
    this.#medianMs = sorted[sorted.length >> 1] as number;
  }

  /** Cost of a whole chunk. */
  get ms(): number {
    return this.#medianMs;
  }
}
