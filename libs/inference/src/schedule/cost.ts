const WINDOW = 64;

/**
 * What a chunk costs a worker, from the chunks it made: a median, because one chunk that met a garbage collection says
 * nothing about the next. Milliseconds.
 */
export class ChunkCost {
  readonly #window = new Float64Array(WINDOW);
  #count = 0;
  #medianMs: number;

  /** @param warmUpMs the cost of a chunk before any was made for a session, milliseconds */
  constructor(warmUpMs: number) {
    this.#medianMs = warmUpMs;
  }

  /** @param part of a whole chunk's work that was done, in (0, 1]: one step of two is 0.5 */
  add(ms: number, part = 1): void {
    this.#window[this.#count++ % WINDOW] = ms / part;
    const sorted = this.#window.slice(0, Math.min(this.#count, WINDOW)).sort();
    this.#medianMs = sorted[sorted.length >> 1] as number;
  }

  /** A whole chunk. */
  get ms(): number {
    return this.#medianMs;
  }
}
