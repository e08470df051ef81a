/**
 * Enlarges the edits of a decoder, so that they fit a larger picture. An edit says how the picture of the model's own size changes; what only the
 * larger picture shows (its detail) stays where the edit changes little, and goes where it draws something else.
 */
import type { Edit } from './compose-frames.js';
import type { Levels } from './levels.js';

export interface Enlargement {
  /** Multiple of the model's own size. */
  readonly scale: number;
  /** Width and height of the larger picture. */
  readonly size: number;
  /** The picture at the model's own size, which the edits change, and the larger one. */
  readonly own: Levels;
  readonly larger: Levels;
  readonly frames: number;
  readonly edits: readonly Edit[];
  /** Top left corner of each edit, x and y in chroma pixels of the model's own size, [edits, 2]. */
  readonly corners: Float32Array;
}

/** Levels by which an edit changes the picture: below the first the detail stays, above the second it has gone. */
const REPLACES = { from: 6, to: 26 } as const;

/** @returns edits of the larger picture, [frames, 6, height * scale, width * scale] each */
export function enlargeEdits({ scale, size, own, larger, frames, edits, corners }: Enlargement): Edit[] {
  const [small, half] = [size / scale / 2, size / 2];
  return edits.map(({ values, height, width }, k) => {
    const [left, top] = [corners[2 * k] as number, corners[2 * k + 1] as number];
    const [h, w] = [height * scale, width * scale];
    const luma = new PlaneEnlarger(
      scale,
      cut(own.luma, 2 * small, { left: 2 * left, top: 2 * top, height: 2 * height, width: 2 * width }),
      cut(larger.luma, size, { left: 2 * left * scale, top: 2 * top * scale, height: 2 * h, width: 2 * w }),
    );
    const chroma = [0, 1].map((i) => {
      const [before, after] = [own.chroma.subarray(i * small * small), larger.chroma.subarray(i * half * half)];
      return new PlaneEnlarger(
        scale,
        cut(before, small, { left, top, height, width }),
        cut(after, half, { left: left * scale, top: top * scale, height: h, width: w }),
      );
    });
    const out = new Float32Array(frames * 6 * h * w);
    for (let frame = 0; frame < frames; frame++) {
      const edit = values.subarray(frame * 6 * height * width, (frame + 1) * 6 * height * width);
      const whole = out.subarray(frame * 6 * h * w, (frame + 1) * 6 * h * w);
      pack(luma.enlarge(unpack(edit, height, width)), h, w, whole);
      for (const [i, plane] of chroma.entries()) {
        const from = (4 + i) * height * width;
        whole.set(plane.enlarge(edit.subarray(from, from + height * width)), (4 + i) * h * w);
      }
    }
    return { values: out, height: h, width: w };
  });
}

/** Enlarges one plane of an edit, frame after frame. */
class PlaneEnlarger {
  readonly #height: number;
  readonly #width: number;
  readonly #scale: number;
  /** What the larger picture shows and the smaller one, enlarged, does not. */
  readonly #detail: Float32Array;

  /** @param own, larger the part of each picture under the edit */
  constructor(scale: number, own: Part, larger: Part) {
    [this.#height, this.#width, this.#scale] = [own.height, own.width, scale];
    const smooth = this.#cubic(own.levels);
    this.#detail = larger.levels.map((level, i) => level - (smooth[i] as number));
  }

  enlarge(edit: Float32Array): Float32Array {
    const larger = this.#cubic(edit);
    const replaced = this.#cubic(smoothed(edit.map(replacedShare), this.#height, this.#width));
    const detail = this.#detail;
    for (let i = 0; i < larger.length; i++) {
      const share = Math.min(1, Math.max(0, replaced[i] as number));
      larger[i] = (larger[i] as number) - share * (detail[i] as number);
    }
    return larger;
  }

  /** Interpolates by Catmull-Rom splines, along columns, then along rows; the border repeats. */
  #cubic(plane: Float32Array): Float32Array {
    const [height, width, scale] = [this.#height, this.#width, this.#scale];
    const weights = Array.from({ length: scale }, (_, phase) => catmullRom((phase + 0.5) / scale - 0.5));
    const wide = new Float32Array(height * width * scale);
    for (let y = 0; y < height; y++)
      for (let phase = 0; phase < scale; phase++) {
        const { first, taps } = weights[phase] as Spline;
        for (let x = 0; x < width; x++) {
          let sum = 0;
          for (let k = 0; k < 4; k++) {
            const from = Math.min(width - 1, Math.max(0, x + first + k));
            sum += (taps[k] as number) * (plane[y * width + from] as number);
          }
          wide[(y * width + x) * scale + phase] = sum;
        }
      }
    const columns = width * scale;
    const out = new Float32Array(columns * height * scale);
    for (let y = 0; y < height; y++)
      for (let phase = 0; phase < scale; phase++) {
        const { first, taps } = weights[phase] as Spline;
        const rows = taps.map((_, k) => columns * Math.min(height - 1, Math.max(0, y + first + k)));
        const [a, b, c, d] = rows as [number, number, number, number];
        const [wa, wb, wc, wd] = taps as readonly [number, number, number, number];
        const to = (y * scale + phase) * columns;
        for (let x = 0; x < columns; x++)
          out[to + x] =
            wa * (wide[a + x] as number) +
            wb * (wide[b + x] as number) +
            wc * (wide[c + x] as number) +
            wd * (wide[d + x] as number);
      }
    return out;
  }
}

/** Part of a plane. */
interface Part {
  readonly height: number;
  readonly width: number;
  /** [height, width] */
  readonly levels: Float32Array;
}

interface Spline {
  /** Offset of the first of four neighbours. */
  readonly first: number;
  readonly taps: readonly number[];
}

/** Weights of the four neighbours of a place between pixels. @param offset from the centre of a pixel, -.5 to .5 */
function catmullRom(offset: number): Spline {
  const first = offset < 0 ? -2 : -1;
  const t = offset < 0 ? offset + 1 : offset;
  const taps = [
    0.5 * (-(t ** 3) + 2 * t ** 2 - t),
    0.5 * (3 * t ** 3 - 5 * t ** 2 + 2),
    0.5 * (-3 * t ** 3 + 4 * t ** 2 + t),
    0.5 * (t ** 3 - t ** 2),
  ];
  return { first, taps };
}

function replacedShare(change: number): number {
  const share = Math.min(1, Math.max(0, (Math.abs(change) - REPLACES.from) / (REPLACES.to - REPLACES.from)));
  return share * share * (3 - 2 * share);
}

/** The largest of each pixel and its neighbours, then the mean of 3x3: an edge that moves takes its whole surroundings along. */
function smoothed(plane: Float32Array, height: number, width: number): Float32Array {
  const largest = over(plane, height, width, (a, b, c) => Math.max(a, b, c));
  return over(largest, height, width, (a, b, c) => (a + b + c) / 3);
}

/** Applies a function of three neighbours along rows, then along columns; the border repeats. */
function over(
  plane: Float32Array,
  height: number,
  width: number,
  of: (a: number, b: number, c: number) => number,
): Float32Array {
  const across = new Float32Array(plane.length);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const at = y * width;
      const [a, b, c] = [Math.max(0, x - 1), x, Math.min(width - 1, x + 1)];
      across[at + x] = of(plane[at + a] as number, plane[at + b] as number, plane[at + c] as number);
    }
  const out = new Float32Array(plane.length);
  for (let y = 0; y < height; y++) {
    const [a, b, c] = [Math.max(0, y - 1) * width, y * width, Math.min(height - 1, y + 1) * width];
    for (let x = 0; x < width; x++)
      out[b + x] = of(across[a + x] as number, across[b + x] as number, across[c + x] as number);
  }
  return out;
}

/** A part of a plane of `size` x `size`; beyond the border of the plane the border repeats. */
function cut(
  plane: Float32Array,
  size: number,
  { left, top, height, width }: Omit<Part, 'levels'> & { readonly left: number; readonly top: number },
): Part {
  const levels = new Float32Array(height * width);
  const inside = (place: number): number => Math.min(size - 1, Math.max(0, place));
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) levels[y * width + x] = plane[inside(top + y) * size + inside(left + x)] as number;
  return { height, width, levels };
}

/** Four luma phases [4, h, w] -> [2 h, 2 w]. */
function unpack(edit: Float32Array, height: number, width: number): Float32Array {
  const out = new Float32Array(4 * height * width);
  for (let phase = 0; phase < 4; phase++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        out[(2 * y + (phase >> 1)) * 2 * width + 2 * x + (phase & 1)] = edit[
          (phase * height + y) * width + x
        ] as number;
  return out;
}

/** [2 h, 2 w] -> four luma phases at the beginning of `edit`. */
function pack(plane: Float32Array, height: number, width: number, edit: Float32Array): void {
  for (let phase = 0; phase < 4; phase++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        edit[(phase * height + y) * width + x] = plane[
          (2 * y + (phase >> 1)) * 2 * width + 2 * x + (phase & 1)
        ] as number;
}
