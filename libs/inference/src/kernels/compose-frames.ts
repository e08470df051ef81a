/**
 * The last stage of a decoder that edits and warps the reference picture: add the edits, sample along the flow, round
 * to bytes.
 */
import { type WarpCode, warpCode } from './warp-code.js';

/** A residual for one rectangle of the reference picture. */
export interface Edit {
  /** [frames, 6, height, width]: four luma phases (rows first), U, V; in levels of 0..255. */
  readonly values: Float32Array;
  readonly height: number;
  readonly width: number;
}

/** The reference picture, which each frame begins with, and the flow that each ends with. */
export interface Warping {
  /** Width and height of luma, even; chroma has half of it. */
  readonly size: number;
  readonly frames: number;
  /** Reference picture in levels of 0..255: [size, size], and U and V [2, size / 2, size / 2]. */
  readonly luma: Float32Array;
  readonly chroma: Float32Array;
  /**
   * [frames, fieldSize, fieldSize, 2]: offset (x, y), in luma pixels, at which each position of a frame samples the
   * edited reference.
   */
  readonly flow: Float32Array;
  readonly fieldSize: number;
}

export interface Composition extends Warping {
  readonly edits: readonly Edit[];
  /** Top left corner of each edit, x and y in chroma pixels, [edits, 2]. */
  readonly corners: Float32Array;
}

/** The planes of a frame before it is warped: luma [size, size], U and V [size / 2, size / 2]. */
export interface Planes {
  readonly luma: Float32Array;
  readonly u: Float32Array;
  readonly v: Float32Array;
}

const PAGE_BYTES = 65_536;
const NUMBER_BYTES = 4;
/** The compiled loops process four pixels at a time and may access up to three beyond the end. */
const LANES = 4;
/** Pixel indices are computed in float32, which is exact for integers up to 2^24. */
const LARGEST_SIZE = 4096;

/** Allocates the memory of the compiled loops. */
class Layout {
  bytes = 0;

  /** Allocates `count` numbers of four bytes. @returns their address */
  numbers(count: number): number {
    const address = this.bytes;
    this.bytes += (count + LANES) * NUMBER_BYTES;
    return address;
  }
}

/** One plane: the reference with a frame's edits, and the table that interpolates the flow to the plane's size. */
class Plane {
  readonly size: number;
  /** `size`, rounded up to a multiple of the group size. */
  readonly columns: number;
  readonly table: number;
  readonly address: number;
  pixels = new Float32Array(0);

  constructor(size: number, layout: Layout) {
    this.size = size;
    this.columns = Math.ceil(size / LANES) * LANES;
    this.table = layout.numbers(3 * this.columns);
    this.address = layout.numbers((size + 1) * size);
  }

  /** Fills the table (see WarpCode). Pixel centres are aligned; beyond the edges the border sample repeats. */
  attach(memory: ArrayBuffer, fieldSize: number): void {
    const { size, columns, table } = this;
    this.pixels = new Float32Array(memory, this.address, size * size);
    const samples = new Int32Array(memory, table, 2 * columns);
    const shares = new Float32Array(memory, table + 2 * columns * NUMBER_BYTES, columns);
    for (let pixel = 0; pixel < columns; pixel++) {
      const place = Math.min(Math.max(((pixel + 0.5) * fieldSize) / size - 0.5, 0), fieldSize - 1);
      const before = Math.floor(place);
      samples[pixel] = before * 2 * NUMBER_BYTES;
      samples[columns + pixel] = Math.min(before + 1, fieldSize - 1) * 2 * NUMBER_BYTES;
      shares[pixel] = place - before;
    }
  }

  /** Adds a patch. `step` 2 with an offset writes one luma phase. Pixels outside the plane are skipped. */
  add(
    values: Float32Array,
    from: number,
    height: number,
    width: number,
    left: number,
    top: number,
    step: number,
  ): void {
    const { size } = this;
    const pixels = this.pixels;
    for (let row = 0; row < height; row++) {
      const y = top + row * step;
      if (y < 0 || y >= size) continue;
      for (let column = 0; column < width; column++) {
        const x = left + column * step;
        if (x < 0 || x >= size) continue;
        const at = y * size + x;
        pixels[at] = (pixels[at] as number) + (values[from + row * width + column] as number);
      }
    }
  }
}

/** Composes frames of one size. Memory and tables are reused for all chunks. */
class Compositor {
  readonly #fieldSize: number;
  readonly #planes: readonly [Plane, Plane, Plane];
  readonly #flow: Float32Array;
  /** Address of the flow, interpolated to the columns of a plane. */
  readonly #wide: number;
  readonly #frame: Uint8Array;
  readonly #code: WarpCode;

  constructor(size: number, fieldSize: number) {
    this.#fieldSize = fieldSize;
    const layout = new Layout();
    this.#planes = [new Plane(size, layout), new Plane(size / 2, layout), new Plane(size / 2, layout)];
    const samples = fieldSize * fieldSize * 2;
    const flow = layout.numbers(samples);
    this.#wide = layout.numbers(2 * fieldSize * this.#planes[0].columns);
    const frameBytes = (size * size * 3) / 2;
    const memory = new WebAssembly.Memory({ initial: Math.ceil((layout.bytes + frameBytes + LANES) / PAGE_BYTES) });
    const { buffer } = memory;
    for (const plane of this.#planes) plane.attach(buffer, fieldSize);
    this.#flow = new Float32Array(buffer, flow, samples);
    this.#frame = new Uint8Array(buffer, layout.bytes, frameBytes);
    this.#code = warpCode(memory);
  }

  /** @param keeps whether a frame begins with what was drawn of the one before it, and not with the picture */
  run(
    { frames, luma, chroma, flow }: Warping,
    keeps: boolean,
    draw: (frame: number, planes: readonly [Plane, Plane, Plane]) => void,
  ): Uint8Array {
    const [y, u, v] = this.#planes;
    const area = u.size * u.size;
    const result = new Uint8Array(frames * this.#frame.length);
    for (let i = 0; i < frames; i++) {
      if (i === 0 || !keeps) {
        y.pixels.set(luma);
        u.pixels.set(chroma.subarray(0, area));
        v.pixels.set(chroma.subarray(area));
      }
      draw(i, this.#planes);
      this.#warp(flow.subarray(i * this.#flow.length, (i + 1) * this.#flow.length));
      result.set(this.#frame, i * this.#frame.length);
    }
    return result;
  }

  /**
   * Writes the planes in the order of the frame, because each may write three bytes beyond its end, into the next
   * plane.
   */
  #warp(flow: Float32Array): void {
    const [y, u, v] = this.#planes;
    this.#flow.set(flow);
    this.#widen(y);
    this.#warpPlane(y, 0);
    for (let i = 0; i < flow.length; i++) this.#flow[i] = (flow[i] as number) / 2;
    this.#widen(u);
    this.#warpPlane(u, y.size * y.size);
    this.#warpPlane(v, y.size * y.size + u.size * u.size);
  }

  #widen({ columns, table }: Plane): void {
    this.#code.widen(this.#flow.byteOffset, this.#fieldSize, columns, table, this.#wide);
  }

  #warpPlane({ size, columns, table, address }: Plane, to: number): void {
    this.#code.warp(address, size, columns, table, this.#wide, this.#frame.byteOffset + to);
  }
}

/** By the sizes of picture and flow: sessions of several sizes take turns. */
const compositors = new Map<string, Compositor>();

/**
 * Composes planar I420 frames, [frames, size * size * 3 / 2] bytes. Samples bilinearly and repeats the border (like
 * GridSample with padding_mode "border" and align_corners 0).
 * @throws RangeError when the sizes of the parts do not match
 */
export function composeFrames(composition: Composition): Uint8Array {
  const { edits, corners, frames } = composition;
  const compositor = compositorFor(composition);
  expectLength('corners', corners.length, 2 * edits.length);
  for (const { values, height, width } of edits) expectLength('an edit', values.length, frames * 6 * height * width);
  return compositor.run(composition, false, (frame, [y, u, v]) => {
    for (const [k, edit] of edits.entries())
      paste(edit, frame, corners[2 * k] as number, corners[2 * k + 1] as number, y, [u, v]);
  });
}

/** As `composeFrames`, of frames that `draw` paints before they are warped: the same pixels of every frame, so the others stay the picture's. */
export function composeDrawn(warping: Warping, draw: (frame: number, planes: Planes) => void): Uint8Array {
  return compositorFor(warping).run(warping, true, (frame, [y, u, v]) =>
    draw(frame, { luma: y.pixels, u: u.pixels, v: v.pixels }),
  );
}

function compositorFor(warping: Warping): Compositor {
  check(warping);
  const { size, fieldSize } = warping;
  const key = `${size} ${fieldSize}`;
  const compositor = compositors.get(key) ?? new Compositor(size, fieldSize);
  compositors.set(key, compositor);
  return compositor;
}

function paste(edit: Edit, frame: number, left: number, top: number, luma: Plane, chroma: readonly Plane[]): void {
  const { values, height, width } = edit;
  const area = height * width;
  const from = frame * 6 * area;
  for (let phase = 0; phase < 4; phase++)
    luma.add(values, from + phase * area, height, width, 2 * left + (phase & 1), 2 * top + (phase >> 1), 2);
  for (const [i, plane] of chroma.entries()) plane.add(values, from + (4 + i) * area, height, width, left, top, 1);
}

function expectLength(what: string, length: number, expected: number): void {
  if (length !== expected) throw new RangeError(`${what} has ${length} values, not ${expected}`);
}

function check({ size, frames, luma, chroma, flow, fieldSize }: Warping): void {
  if (!Number.isInteger(size / 2) || size < 2 || size > LARGEST_SIZE)
    throw new RangeError(`the picture's size must be even and at most ${LARGEST_SIZE}, not ${size}`);
  if (!Number.isInteger(fieldSize) || fieldSize < 1)
    throw new RangeError(`flow needs at least one sample a side, not ${fieldSize}`);
  expectLength('luma', luma.length, size * size);
  expectLength('chroma', chroma.length, (size * size) / 2);
  expectLength('flow', flow.length, frames * fieldSize * fieldSize * 2);
}
