/** The end of a decoder that edits and warps a picture: paste the edits, sample along the flow, round to bytes. */

/** A residual for one place of the picture. */
export interface Edit {
  /** [frames, 6, height, width]: four luma phases (rows first), U, V; in levels of 0..255. */
  readonly values: Float32Array;
  readonly height: number;
  readonly width: number;
}

export interface Composition {
  /** Width and height of luma, even; chroma has half of it. */
  readonly size: number;
  readonly frames: number;
  /** Reference picture in levels of 0..255: [size, size], and U and V [2, size / 2, size / 2]. */
  readonly luma: Float32Array;
  readonly chroma: Float32Array;
  readonly edits: readonly Edit[];
  /** Where each edit's corner is, x and y in chroma pixels, [edits, 2]. */
  readonly corners: Float32Array;
  /** [frames, fieldSize, fieldSize, 2]: how far (x, y), in luma pixels, each place of a frame looks into the edited reference. */
  readonly flow: Float32Array;
  readonly fieldSize: number;
}

/** Pixels kept around a plane, so that flow may leave the picture without a test for every pixel. */
const MARGIN = 40;

/** One plane of the reference with its border repeated outwards, drawn on anew for every frame. */
class Plane {
  readonly size: number;
  readonly stride: number;
  readonly pixels: Float32Array;
  readonly #clean: Float32Array;

  constructor(size: number, levels: Float32Array) {
    this.size = size;
    this.stride = size + 2 * MARGIN;
    this.pixels = new Float32Array(this.stride * this.stride);
    this.#clean = new Float32Array(this.stride * this.stride);
    for (let y = 0; y < size; y++)
      this.#clean.set(levels.subarray(y * size, (y + 1) * size), (y + MARGIN) * this.stride + MARGIN);
    this.#repeatBorder(this.#clean);
  }

  reset(): void {
    this.pixels.set(this.#clean);
  }

  /** Adds a patch; `step` 2 with an offset writes one luma phase. What falls outside the picture is left out. */
  add(
    values: Float32Array,
    from: number,
    height: number,
    width: number,
    left: number,
    top: number,
    step: number,
  ): void {
    const { pixels, size, stride } = this;
    for (let row = 0; row < height; row++) {
      const y = top + row * step;
      if (y < 0 || y >= size) continue;
      for (let column = 0; column < width; column++) {
        const x = left + column * step;
        if (x < 0 || x >= size) continue;
        const at = (y + MARGIN) * stride + x + MARGIN;
        pixels[at] = (pixels[at] as number) + (values[from + row * width + column] as number);
      }
    }
  }

  /** Repeats the border of what was drawn; needed when an edit reaches it. */
  finish(): void {
    this.#repeatBorder(this.pixels);
  }

  #repeatBorder(pixels: Float32Array): void {
    const { size, stride } = this;
    for (let y = MARGIN; y < MARGIN + size; y++) {
      const row = y * stride;
      pixels.fill(pixels[row + MARGIN] as number, row, row + MARGIN);
      pixels.fill(pixels[row + MARGIN + size - 1] as number, row + MARGIN + size, row + stride);
    }
    for (let y = 0; y < MARGIN; y++) {
      pixels.copyWithin(y * stride, MARGIN * stride, (MARGIN + 1) * stride);
      const last = (MARGIN + size - 1) * stride;
      pixels.copyWithin((MARGIN + size + y) * stride, last, last + stride);
    }
  }
}

/** Between which two flow samples, and how near the second, each pixel of a side lies (centres aligned, edges repeated). */
class Steps {
  readonly first: Int32Array;
  readonly second: Int32Array;
  readonly share: Float64Array;
  /** Pixels at which another pair of samples begins, and the end. */
  readonly starts: Int32Array;

  constructor(size: number, fieldSize: number) {
    const starts: number[] = [];
    let last = Number.NaN;
    this.first = new Int32Array(size);
    this.second = new Int32Array(size);
    this.share = new Float64Array(size);
    for (let pixel = 0; pixel < size; pixel++) {
      const free = ((pixel + 0.5) * fieldSize) / size - 0.5;
      const place = Math.min(Math.max(free, 0), fieldSize - 1);
      this.first[pixel] = Math.floor(place);
      this.second[pixel] = Math.min(Math.floor(place) + 1, fieldSize - 1);
      this.share[pixel] = place - Math.floor(place);
      if (Math.floor(free) !== last) starts.push(pixel);
      last = Math.floor(free);
    }
    this.starts = Int32Array.from([...starts, size]);
  }
}

interface Warp {
  readonly flow: Float32Array;
  readonly from: number;
  readonly fieldSize: number;
  readonly steps: Steps;
  /** Pixels of this plane per luma pixel. */
  readonly scale: number;
  /** The flow of the row being drawn, x and y, at the columns where it is given; filled in row by row. */
  readonly rowX: Float64Array;
  readonly rowY: Float64Array;
  readonly frame: Uint8ClampedArray;
}

function flowOfRow({ flow, from, fieldSize, steps, scale, rowX, rowY }: Warp, row: number): void {
  const above = from + (steps.first[row] as number) * fieldSize * 2;
  const below = from + (steps.second[row] as number) * fieldSize * 2;
  const down = steps.share[row] as number;
  for (let i = 0; i < fieldSize; i++) {
    const x = flow[above + 2 * i] as number;
    const y = flow[above + 2 * i + 1] as number;
    rowX[i] = (x + ((flow[below + 2 * i] as number) - x) * down) * scale;
    rowY[i] = (y + ((flow[below + 2 * i + 1] as number) - y) * down) * scale;
  }
}

/**
 * One row of one or two planes of the same size along flow that stays within the margin: the hot loop. Between two
 * columns the flow changes evenly, so places are added up.
 */
function warpRow(warp: Warp, row: number, plane: Plane, to: number, other: Plane | undefined, otherTo: number): void {
  const { steps, rowX, rowY, frame } = warp;
  const { first, second, share, starts } = steps;
  const { stride, pixels } = plane;
  const otherPixels = other?.pixels ?? pixels;
  const count = starts.length - 1;
  for (let stretch = 0; stretch < count; stretch++) {
    const begin = starts[stretch] as number;
    const end = starts[stretch + 1] as number;
    const before = first[begin] as number;
    const after = second[begin] as number;
    const near = share[begin] as number;
    const nearer = end > begin + 1 ? (share[begin + 1] as number) - near : 0;
    const changeX = (rowX[after] as number) - (rowX[before] as number);
    const changeY = (rowY[after] as number) - (rowY[before] as number);
    const stepX = 1 + changeX * nearer;
    const stepY = changeY * nearer;
    let x = begin + MARGIN + (rowX[before] as number) + changeX * near;
    let y = row + MARGIN + (rowY[before] as number) + changeY * near;
    for (let pixel = begin; pixel < end; pixel++) {
      const left = x | 0;
      const top = y | 0;
      const shareX = x - left;
      const shareY = y - top;
      const corner = (Math.imul(top, stride) + left) | 0;
      const topLeft = pixels[corner] as number;
      const bottomLeft = pixels[corner + stride] as number;
      const upper = topLeft + ((pixels[corner + 1] as number) - topLeft) * shareX;
      const lower = bottomLeft + ((pixels[corner + stride + 1] as number) - bottomLeft) * shareX;
      frame[to + pixel] = upper + (lower - upper) * shareY;
      if (other !== undefined) {
        const otherTop = otherPixels[corner] as number;
        const otherBottom = otherPixels[corner + stride] as number;
        const otherUpper = otherTop + ((otherPixels[corner + 1] as number) - otherTop) * shareX;
        const otherLower = otherBottom + ((otherPixels[corner + stride + 1] as number) - otherBottom) * shareX;
        frame[otherTo + pixel] = otherUpper + (otherLower - otherUpper) * shareY;
      }
      x += stepX;
      y += stepY;
    }
  }
}

/** The same for flow that leaves the margin: every place is held inside the picture. */
function warpRowFar(warp: Warp, row: number, plane: Plane, to: number): void {
  const { steps, rowX, rowY, frame } = warp;
  const { stride, pixels, size } = plane;
  const inside = (place: number): number => Math.min(Math.max(place, 0), size - 1) + MARGIN;
  for (let pixel = 0; pixel < size; pixel++) {
    const near = steps.share[pixel] as number;
    const along = (flow: Float64Array): number => {
      const start = flow[steps.first[pixel] as number] as number;
      return start + ((flow[steps.second[pixel] as number] as number) - start) * near;
    };
    const [x, y] = [inside(pixel + along(rowX)), inside(row + along(rowY))];
    const corner = Math.floor(y) * stride + Math.floor(x);
    const between = (at: number): number =>
      (pixels[at] as number) + ((pixels[at + 1] as number) - (pixels[at] as number)) * (x - Math.floor(x));
    const upper = between(corner);
    frame[to + pixel] = upper + (between(corner + stride) - upper) * (y - Math.floor(y));
  }
}

/** One or two planes of one size; `to` is where the first one goes, the other follows. */
function warpPlanes(warp: Warp, plane: Plane, to: number, other?: Plane): void {
  const { flow, from, fieldSize, scale } = warp;
  const { size } = plane;
  let largest = 0;
  for (let i = from; i < from + 2 * fieldSize * fieldSize; i++)
    largest = Math.max(largest, Math.abs(flow[i] as number));
  const inMargin = largest * scale < MARGIN - 2;
  for (let row = 0; row < size; row++) {
    flowOfRow(warp, row);
    const start = to + row * size;
    if (inMargin) warpRow(warp, row, plane, start, other, start + size * size);
    else {
      warpRowFar(warp, row, plane, start);
      if (other !== undefined) warpRowFar(warp, row, other, start + size * size);
    }
  }
}

/**
 * Planar I420 frames, [frames, size * size * 3 / 2] bytes. Bilinear; beyond the picture its border repeats
 * (GridSample with padding "border" and align_corners 0).
 * @throws RangeError when the parts do not fit each other
 */
export function composeFrames(composition: Composition): Uint8Array {
  check(composition);
  const { size, frames, edits, corners, flow, fieldSize } = composition;
  const half = size / 2;
  const luma = new Plane(size, composition.luma);
  const u = new Plane(half, composition.chroma.subarray(0, half * half));
  const v = new Plane(half, composition.chroma.subarray(half * half));
  const planes = [luma, u, v] as const;
  const rows = { rowX: new Float64Array(fieldSize), rowY: new Float64Array(fieldSize) };
  const frame = new Uint8ClampedArray((frames * size * size * 3) / 2);
  const fine = { flow, fieldSize, steps: new Steps(size, fieldSize), scale: 1, ...rows, frame };
  const coarse = { flow, fieldSize, steps: new Steps(half, fieldSize), scale: 0.5, ...rows, frame };
  for (let i = 0; i < frames; i++) {
    for (const plane of planes) plane.reset();
    for (const [k, edit] of edits.entries())
      paste(edit, i, corners[2 * k] as number, corners[2 * k + 1] as number, luma, [u, v]);
    for (const plane of planes) plane.finish();
    const from = i * fieldSize * fieldSize * 2;
    const to = (i * size * size * 3) / 2;
    warpPlanes({ ...fine, from }, luma, to);
    warpPlanes({ ...coarse, from }, u, to + size * size, v);
  }
  return new Uint8Array(frame.buffer);
}

function paste(edit: Edit, frame: number, left: number, top: number, luma: Plane, chroma: readonly Plane[]): void {
  const { values, height, width } = edit;
  const area = height * width;
  const from = frame * 6 * area;
  for (let phase = 0; phase < 4; phase++)
    luma.add(values, from + phase * area, height, width, 2 * left + (phase & 1), 2 * top + (phase >> 1), 2);
  for (const [i, plane] of chroma.entries()) plane.add(values, from + (4 + i) * area, height, width, left, top, 1);
}

function check({ size, frames, luma, chroma, edits, corners, flow, fieldSize }: Composition): void {
  const expect = (what: string, length: number, expected: number): void => {
    if (length !== expected) throw new RangeError(`${what} has ${length} values, not ${expected}`);
  };
  if (!Number.isInteger(size / 2) || size < 2) throw new RangeError(`the picture's size must be even, not ${size}`);
  expect('luma', luma.length, size * size);
  expect('chroma', chroma.length, (size * size) / 2);
  expect('corners', corners.length, 2 * edits.length);
  expect('flow', flow.length, frames * fieldSize * fieldSize * 2);
  for (const { values, height, width } of edits) expect('an edit', values.length, frames * 6 * height * width);
}
