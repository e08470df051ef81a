/**
 * Enlarges the edits of a decoder, so that they fit a larger picture. An edit says how the picture of the model's own size changes; what only the
 * larger picture shows (its detail) stays where the edit changes little, and goes where it draws something else.
 */
import type { Edit } from './compose-frames.js';
import type { Levels } from './levels.js';
import { PlaneEnlarger, type PlaneLayout, type PlanePart } from './plane-enlarger.js';

export interface Enlargement {
  /** Multiple of the model's own size, even. */
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

/** @returns edits of the larger picture, [frames, 6, height * scale, width * scale] each */
export function enlargeEdits({ scale, size, own, larger, frames, edits, corners }: Enlargement): Edit[] {
  const [small, half] = [size / scale / 2, size / 2];
  return edits.map(({ values, height, width }, k) => {
    const [left, top] = [corners[2 * k] as number, corners[2 * k + 1] as number];
    const [h, w] = [height * scale, width * scale];
    const luma = new PlaneEnlarger(
      cut(own.luma, 2 * small, { left: 2 * left, top: 2 * top, height: 2 * height, width: 2 * width }),
      cut(larger.luma, size, { left: 2 * left * scale, top: 2 * top * scale, height: 2 * h, width: 2 * w }),
      phases(scale, h, w),
    );
    const chroma = [0, 1].map((i) => {
      const [before, after] = [own.chroma.subarray(i * small * small), larger.chroma.subarray(i * half * half)];
      return new PlaneEnlarger(
        cut(before, small, { left, top, height, width }),
        cut(after, half, { left: left * scale, top: top * scale, height: h, width: w }),
        { scale, offset: (row, column) => row * w + column, rowStride: scale * w, columnStride: scale },
      );
    });
    const out = new Float32Array(frames * 6 * h * w);
    const whole = new Float32Array(4 * height * width);
    for (let frame = 0; frame < frames; frame++) {
      const edit = values.subarray(frame * 6 * height * width, (frame + 1) * 6 * height * width);
      const to = out.subarray(frame * 6 * h * w, (frame + 1) * 6 * h * w);
      unpack(edit, height, width, whole);
      luma.enlarge(whole, to);
      for (const [i, plane] of chroma.entries()) {
        const from = (4 + i) * height * width;
        plane.enlarge(edit.subarray(from, from + height * width), to.subarray((4 + i) * h * w));
      }
    }
    return { values: out, height: h, width: w };
  });
}

/** The four phases of a larger luma plane, [4, h, w], where `scale` is even. */
const phases = (scale: number, h: number, w: number): PlaneLayout => ({
  scale,
  offset: (row, column) => ((row & 1) * 2 + (column & 1)) * h * w + (row >> 1) * w + (column >> 1),
  rowStride: (scale / 2) * w,
  columnStride: scale / 2,
});

/** A part of a plane of `size` x `size`; beyond the border of the plane the border repeats. */
function cut(
  plane: Float32Array,
  size: number,
  { left, top, height, width }: Omit<PlanePart, 'levels'> & { readonly left: number; readonly top: number },
): PlanePart {
  const levels = new Float32Array(height * width);
  const inside = (place: number): number => Math.min(size - 1, Math.max(0, place));
  for (let y = 0; y < height; y++) {
    const row = inside(top + y) * size;
    for (let x = 0; x < width; x++) levels[y * width + x] = plane[row + inside(left + x)] as number;
  }
  return { height, width, levels };
}

/** Four luma phases [4, h, w] -> [2 h, 2 w]. */
function unpack(edit: Float32Array, height: number, width: number, out: Float32Array): void {
  for (let phase = 0; phase < 4; phase++)
    for (let y = 0; y < height; y++) {
      const from = (phase * height + y) * width;
      let to = (2 * y + (phase >> 1)) * 2 * width + (phase & 1);
      for (let x = 0; x < width; x++, to += 2) out[to] = edit[from + x] as number;
    }
}
