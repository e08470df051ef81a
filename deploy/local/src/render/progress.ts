const BAR_WIDTH = 28;
const REDRAW_MS = 100;

/** Redraws one progress line on a terminal; writes a line at every 10 % to any other output. */
export class Progress {
  readonly #out: NodeJS.WriteStream;
  readonly #totalSeconds: number;
  readonly #begin = performance.now();
  #drawnAtMs = Number.NEGATIVE_INFINITY;
  #tenths = 0;

  constructor(out: NodeJS.WriteStream, totalSeconds: number) {
    this.#out = out;
    this.#totalSeconds = totalSeconds;
  }

  /** @param seconds of video that are written */
  update(seconds: number): void {
    const done = Math.min(1, seconds / this.#totalSeconds);
    const now = performance.now();
    if (this.#out.isTTY) {
      if (now - this.#drawnAtMs < REDRAW_MS && done < 1) return;
      this.#drawnAtMs = now;
      this.#out.write(`\r${this.#line(done, seconds, now)}\u001b[K${done === 1 ? '\n' : ''}`);
    } else if (Math.floor(done * 10) > this.#tenths) {
      this.#tenths = Math.floor(done * 10);
      this.#out.write(`${this.#line(done, seconds, now)}\n`);
    }
  }

  #line(done: number, seconds: number, now: number): string {
    const filled = Math.round(done * BAR_WIDTH);
    const speed = (1000 * seconds) / (now - this.#begin);
    const bar = `${'█'.repeat(filled)}${'·'.repeat(BAR_WIDTH - filled)}`;
    const percent = `${Math.round(100 * done)} %`.padStart(5);
    return `  ${bar} ${percent}  ${seconds.toFixed(1)} of ${this.#totalSeconds.toFixed(1)} s  ${speed.toFixed(1)}x real time`;
  }
}
