import type { Picture } from './decode-picture.js';

/** A square of a picture, in its pixels; it may reach over the edges, which are then repeated. */
export interface Square {
  readonly left: number;
  readonly top: number;
  readonly side: number;
}

interface Taps {
  readonly first: number;
  readonly weights: Float32Array;
}

/** Catmull-Rom cubic (a = -0.5). */
function cubic(distance: number): number {
  const x = Math.abs(distance);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

/** Where each of `size` output pixels takes its value from along one axis; shrinking widens the filter, so nothing aliases. */
function tapsOf(start: number, side: number, size: number): Taps[] {
  const step = side / size;
  const wide = Math.max(1, step);
  return Array.from({ length: size }, (_, i) => {
    const centre = start + (i + 0.5) * step - 0.5;
    const first = Math.ceil(centre - 2 * wide);
    const weights = new Float32Array(Math.floor(centre + 2 * wide) - first + 1);
    let sum = 0;
    for (let k = 0; k < weights.length; k++) {
      weights[k] = cubic((first + k - centre) / wide);
      sum += weights[k] as number;
    }
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}

const clamp = (value: number, high: number): number => Math.min(Math.max(value, 0), high);

/** A square of a picture at another size: RGB bytes [size, size, 3]. */
export function resampleSquare(picture: Picture, square: Square, size: number): Uint8Array {
  const { width, height, rgb } = picture;
  const across = tapsOf(square.left, square.side, size);
  const down = tapsOf(square.top, square.side, size);
  const rows = new Map<number, Float32Array>();
  const rowOf = (y: number): Float32Array => {
    const known = rows.get(y);
    if (known !== undefined) return known;
    const made = new Float32Array(size * 3);
    across.forEach(({ first, weights }, x) => {
      for (let k = 0; k < weights.length; k++) {
        const at = 3 * (y * width + clamp(first + k, width - 1));
        const weight = weights[k] as number;
        for (let c = 0; c < 3; c++) made[3 * x + c] = (made[3 * x + c] as number) + weight * (rgb[at + c] as number);
      }
    });
    rows.set(y, made);
    return made;
  };
  const out = new Uint8Array(size * size * 3);
  const sums = new Float32Array(size * 3);
  down.forEach(({ first, weights }, y) => {
    sums.fill(0);
    for (let k = 0; k < weights.length; k++) {
      const row = rowOf(clamp(first + k, height - 1));
      const weight = weights[k] as number;
      for (let i = 0; i < sums.length; i++) sums[i] = (sums[i] as number) + weight * (row[i] as number);
    }
    for (const known of rows.keys()) if (known < clamp(first, height - 1)) rows.delete(known);
    for (let i = 0; i < sums.length; i++) out[y * size * 3 + i] = clamp(Math.round(sums[i] as number), 255);
  });
  return out;
}
