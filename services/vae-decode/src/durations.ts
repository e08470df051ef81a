const WINDOW = 128;

/** The last durations of one session, milliseconds. */
export class Durations {
  readonly #values: number[] = [];

  add(ms: number): void {
    this.#values.push(ms);
    if (this.#values.length > WINDOW) this.#values.shift();
  }

  /** Nearest-rank percentile, q from 0 to 1; 0 while nothing was added. */
  percentile(q: number): number {
    const sorted = [...this.#values].sort((a, b) => a - b);
    return sorted[Math.min(sorted.length, Math.max(1, Math.ceil(q * sorted.length))) - 1] ?? 0;
  }
}
