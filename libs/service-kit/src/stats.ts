const WINDOW = 512;

/** Percentiles of the last 512 durations, milliseconds. For SessionStats, where the buckets of a histogram are too coarse. */
export class RollingPercentiles {
  readonly #values = new Float64Array(WINDOW);
  #count = 0;

  add(ms: number): void {
    this.#values[this.#count++ % WINDOW] = ms;
  }

  /**
   * Nearest-rank percentile of the window; 0 while the window is empty.
   * @param q 0 to 1: 0.5 is the median, 0.95 the p95.
   */
  p(q: number): number {
    const size = Math.min(this.#count, WINDOW);
    if (size === 0) return 0;
    const sorted = this.#values.slice(0, size).sort();
    const rank = Math.min(size, Math.max(1, Math.ceil(q * size)));
    return sorted[rank - 1] ?? 0;
  }
}
