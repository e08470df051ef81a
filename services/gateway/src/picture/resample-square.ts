import type { Picture } from './decode-picture.js';

/** A square in pixels of a picture. Where it reaches over the edge, the edge pixels are repeated. */
export interface Square {
  readonly left: number;
  readonly top: number;
  readonly side: number;
}

interface Taps {
  readonly first: number;
  readonly weights: Float32Array;
}

const clamp = (value: number, high: number): number => Math.min(Math.max(value, 0), high);

/** Catmull-Rom kernel (cubic convolution with a = -0.5). */
function cubic(distance: number): number {
  const x = Math.abs(distance);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

/**
 * Filter taps of each of `size` output pixels along one axis of `length` pixels. Shrinking widens the kernel, which prevents aliasing.
 * Taps over the edge are added to that of the edge pixel, so the work is bounded by the pixels of the picture, not of the square.
 */
function tapsOf(start: number, side: number, size: number, length: number): Taps[] {
  const step = side / size;
  const wide = Math.max(1, step);
  return Array.from({ length: size }, (_, i) => {
    const centre = start + (i + 0.5) * step - 0.5;
    const from = Math.ceil(centre - 2 * wide);
    const to = Math.floor(centre + 2 * wide);
    const first = clamp(from, length - 1);
    const weights = new Float32Array(clamp(to, length - 1) - first + 1);
    let sum = 0;
    for (let at = from; at <= to; at++) {
      const weight = cubic((at - centre) / wide);
      const tap = clamp(at, length - 1) - first;
      weights[tap] = (weights[tap] as number) + weight;
      sum += weight;
    }
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}

/** Resamples a square of a picture. @returns RGB bytes [size, size, 3] */
export function resampleSquare(picture: Picture, square: Square, size: number): Uint8Array {
  const { width, height, rgb } = picture;
  const across = tapsOf(square.left, square.side, size, width);
  const down = tapsOf(square.top, square.side, size, height);
  const rows = new Map<number, Float32Array>();
  const rowOf = (y: number): Float32Array => {
    const known = rows.get(y);
    if (known !== undefined) return known;
    const made = new Float32Array(size * 3);
    across.forEach(({ first, weights }, x) => {
      for (let k = 0; k < weights.length; k++) {
        const at = 3 * (y * width + first + k);
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
      const row = rowOf(first + k);
      const weight = weights[k] as number;
      for (let i = 0; i < sums.length; i++) sums[i] = (sums[i] as number) + weight * (row[i] as number);
    }
    for (const known of rows.keys()) if (known < first) rows.delete(known);
    for (let i = 0; i < sums.length; i++) out[y * size * 3 + i] = clamp(Math.round(sums[i] as number), 255);
  });
  return out;
}
