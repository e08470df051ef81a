import type { Slit } from './face-points.js';

/** Where a slit is open: for each column of a box the upper and the lower margin, pixels of the picture. */
export class SlitColumns {
  readonly top: Float32Array;
  readonly bottom: Float32Array;
  /** Columns in which the slit lies, relative to the box. */
  first = 0;
  last = -1;
  readonly #slit: Slit;
  readonly #left: number;
  readonly #width: number;

  constructor(slit: Slit, left: number, width: number) {
    this.#slit = slit;
    this.#left = left;
    this.#width = width;
    this.top = new Float32Array(width);
    this.bottom = new Float32Array(width);
  }

  /** @param places [vertices, 2] pixels */
  update(places: Float32Array): void {
    const { upper, lower } = this.#slit;
    const start = places[2 * (upper[0] as number)] as number;
    const end = places[2 * (upper.at(-1) as number)] as number;
    this.first = Math.max(0, Math.ceil(start - this.#left - 0.5));
    this.last = Math.min(this.#width - 1, Math.floor(end - this.#left - 0.5));
    this.#trace(upper, places, this.top);
    this.#trace(lower, places, this.bottom);
  }

  #trace(row: readonly number[], places: Float32Array, out: Float32Array): void {
    let i = 0;
    for (let column = this.first; column <= this.last; column++) {
      const x = column + this.#left + 0.5;
      while (i + 2 < row.length && (places[2 * (row[i + 1] as number)] as number) < x) i += 1;
      const a = 2 * (row[i] as number);
      const b = 2 * (row[i + 1] as number);
      const [ax, bx] = [places[a] as number, places[b] as number];
      const share = bx > ax ? Math.min(1, Math.max(0, (x - ax) / (bx - ax))) : 0;
      out[column] = (places[a + 1] as number) * (1 - share) + (places[b + 1] as number) * share;
    }
  }
}
