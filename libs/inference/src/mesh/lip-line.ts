import { type FaceFrame, toFace } from './face-frame.js';
import { LIPS, type Slit } from './face-points.js';

/** Two curves over the same range, upper above lower, in units of the face. */
export class SlitCurves {
  readonly left: number;
  readonly right: number;
  readonly #xs: readonly number[];
  readonly #uppers: readonly number[];
  readonly #lowers: readonly number[];

  constructor(points: Float32Array, frame: FaceFrame, slit: Slit) {
    const at = (index: number): [number, number] =>
      toFace(frame, points[3 * index] as number, points[3 * index + 1] as number);
    const upper = slit.upper.map(at);
    const lower = slit.lower.map(at);
    this.#xs = upper.map(([x]) => x);
    this.#uppers = upper.map(([, y]) => y);
    this.#lowers = lower.map(([, y], i) =>
      interpolate(
        lower.map(([x]) => x),
        lower.map(([, v]) => v),
        upper[i]?.[0] ?? y,
      ),
    );
    this.left = this.#xs[0] as number;
    this.right = this.#xs.at(-1) as number;
  }

  upper(x: number): number {
    return interpolate(this.#xs, this.#uppers, x);
  }

  lower(x: number): number {
    return interpolate(this.#xs, this.#lowers, x);
  }

  gap(x: number): number {
    return Math.max(0, this.lower(x) - this.upper(x));
  }
}

/** Piecewise linear through points that ascend in x; constant beyond the ends. */
export function interpolate(xs: readonly number[], ys: readonly number[], x: number): number {
  const last = xs.length - 1;
  if (x <= (xs[0] as number)) return ys[0] as number;
  if (x >= (xs[last] as number)) return ys[last] as number;
  let i = 0;
  while (x > (xs[i + 1] as number)) i += 1;
  const [a, b] = [xs[i] as number, xs[i + 1] as number];
  const share = b > a ? (x - a) / (b - a) : 0;
  return (ys[i] as number) * (1 - share) + (ys[i + 1] as number) * share;
}

/** Rows searched on either side of the found line, units of the face. */
const SEARCH = 0.06;
/** A mouth with a gap below this part of the eyes' distance counts as closed. */
const CLOSED_GAP = 0.05;

/**
 * Where the lips are closed, puts both contours on the dark line between them: the face mesh finds it to about two pixels only, and a slit beside
 * it would show when the mouth opens.
 * @param points [468, 3] pixels, changed in place @param luma [size, size]
 */
export function snapClosedLips(points: Float32Array, frame: FaceFrame, luma: Float32Array, size: number): void {
  const { upper, lower } = LIPS;
  const inner = upper.slice(1, -1).map((index, i) => [index, lower[i + 1] as number] as const);
  const middleGap = inner.reduce((sum, [a, b]) => sum + Math.hypot(...between(points, a, b)), 0) / inner.length;
  if (middleGap > CLOSED_GAP * frame.unit) return;
  const reach = Math.max(2, Math.round(SEARCH * frame.unit));
  const found = inner.map(([a, b]) => {
    const x = ((points[3 * a] as number) + (points[3 * b] as number)) / 2;
    const y = ((points[3 * a + 1] as number) + (points[3 * b + 1] as number)) / 2;
    return { x, y, shift: darkest(luma, size, x, y, reach) };
  });
  inner.forEach(([a, b], i) => {
    const near = found.slice(Math.max(0, i - 1), i + 2).map(({ shift }) => shift);
    const shift = near.reduce((sum, one) => sum + one, 0) / near.length;
    const { x, y } = found[i] as { x: number; y: number };
    for (const index of [a, b]) {
      points[3 * index] = x;
      points[3 * index + 1] = y + shift;
    }
  });
}

const between = (points: Float32Array, a: number, b: number): [number, number] => [
  (points[3 * a] as number) - (points[3 * b] as number),
  (points[3 * a + 1] as number) - (points[3 * b + 1] as number),
];

/** Offset in rows of the darkest place near (x, y); places farther away must be darker to count. */
function darkest(luma: Float32Array, size: number, x: number, y: number, reach: number): number {
  const column = Math.min(size - 1, Math.max(0, Math.floor(x)));
  const level = (row: number): number => luma[Math.min(size - 1, Math.max(0, row)) * size + column] as number;
  let best = 0;
  let least = Number.POSITIVE_INFINITY;
  for (let offset = -reach; offset <= reach; offset++) {
    const value = level(Math.floor(y) + offset) + Math.abs(offset) * 3;
    if (value < least) [least, best] = [value, offset];
  }
  return Math.floor(y) + best + 0.5 - y;
}
