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

  constructor(size: number, fieldSize: number) {
    this.first = new Int32Array(size);
    this.second = new Int32Array(size);
    this.share = new Float64Array(size);
    for (let pixel = 0; pixel < size; pixel++) {
      const place = Math.min(Math.max(((pixel + 0.5) * fieldSize) / size - 0.5, 0), fieldSize - 1);
      this.first[pixel] = Math.floor(place);
      this.second[pixel] = Math.min(Math.floor(place) + 1, fieldSize - 1);
      this.share[pixel] = place - Math.floor(place);
    }
  }
}

/** Where the pixels of one row are found, on planes with their margin. */
interface Places {
  readonly x: Float64Array;
  readonly y: Float64Array;
  /** Flow of the row at the columns where it is given. */
  readonly flowX: Float64Array;
  readonly flowY: Float64Array;
}

interface Warp {
  readonly flow: Float32Array;
  readonly from: number;
  readonly fieldSize: number;
  readonly steps: Steps;
  /** Pixels of this plane per luma pixel. */
  readonly scale: number;
}

function placeRow(warp: Warp, row: number, size: number, places: Places): void {
  const { flow, from, fieldSize, steps, scale } = warp;
  const { first, second, share } = steps;
  const { x, y, flowX, flowY } = places;
  const above = from + (first[row] as number) * fieldSize * 2;
  const below = from + (second[row] as number) * fieldSize * 2;
  const down = share[row] as number;
  let largest = 0;
  for (let i = 0; i < fieldSize; i++) {
    const startX = flow[above + 2 * i] as number;
    const startY = flow[above + 2 * i + 1] as number;
    const offsetX = (startX + ((flow[below + 2 * i] as number) - startX) * down) * scale;
    const offsetY = (startY + ((flow[below + 2 * i + 1] as number) - startY) * down) * scale;
    flowX[i] = offsetX;
    flowY[i] = offsetY;
    largest = Math.max(largest, Math.abs(offsetX), Math.abs(offsetY));
  }
  for (let i = 0; i < size; i++) {
    const before = first[i] as number;
    const after = second[i] as number;
    const near = share[i] as number;
    const offsetX = flowX[before] as number;
    const offsetY = flowY[before] as number;
    x[i] = i + MARGIN + offsetX + ((flowX[after] as number) - offsetX) * near;
    y[i] = row + MARGIN + offsetY + ((flowY[after] as number) - offsetY) * near;
  }
  if (largest < MARGIN - 2) return;
  const limit = MARGIN + size - 1;
  for (const values of [x, y])
    for (let i = 0; i < size; i++) values[i] = Math.min(Math.max(values[i] as number, MARGIN), limit);
}

function sampleRow(plane: Plane, places: Places, frame: Uint8ClampedArray, to: number): void {
  const { stride, pixels, size } = plane;
  const { x, y } = places;
  for (let i = 0; i < size; i++) {
    const placeX = x[i] as number;
    const placeY = y[i] as number;
    const left = placeX | 0;
    const top = placeY | 0;
    const shareX = placeX - left;
    const corner = (Math.imul(top, stride) + left) | 0;
    const topLeft = pixels[corner] as number;
    const bottomLeft = pixels[corner + stride] as number;
    const upper = topLeft + ((pixels[corner + 1] as number) - topLeft) * shareX;
    const lower = bottomLeft + ((pixels[corner + stride + 1] as number) - bottomLeft) * shareX;
    frame[to + i] = upper + (lower - upper) * (placeY - top);
  }
}

/** Samples all planes of one size along the same flow; `to` is where the first one goes, the next ones follow. */
function warpPlanes(planes: readonly Plane[], warp: Warp, places: Places, frame: Uint8ClampedArray, to: number): void {
  const size = planes[0]?.size ?? 0;
  for (let row = 0; row < size; row++) {
    placeRow(warp, row, size, places);
    for (let i = 0; i < planes.length; i++)
      sampleRow(planes[i] as Plane, places, frame, to + i * size * size + row * size);
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
  const chroma = [0, 1].map(
    (i) => new Plane(half, composition.chroma.subarray(i * half * half, (i + 1) * half * half)),
  );
  const [fine, coarse] = [new Steps(size, fieldSize), new Steps(half, fieldSize)];
  const [x, y] = [new Float64Array(size), new Float64Array(size)];
  const places: Places = { x, y, flowX: new Float64Array(fieldSize), flowY: new Float64Array(fieldSize) };
  const result = new Uint8ClampedArray((frames * size * size * 3) / 2);
  for (let frame = 0; frame < frames; frame++) {
    for (const plane of [luma, ...chroma]) plane.reset();
    for (const [i, edit] of edits.entries())
      paste(edit, frame, corners[2 * i] as number, corners[2 * i + 1] as number, luma, chroma);
    const from = frame * fieldSize * fieldSize * 2;
    const to = (frame * size * size * 3) / 2;
    for (const plane of [luma, ...chroma]) plane.finish();
    warpPlanes([luma], { flow, from, fieldSize, steps: fine, scale: 1 }, places, result, to);
    warpPlanes(chroma, { flow, from, fieldSize, steps: coarse, scale: 0.5 }, places, result, to + size * size);
  }
  return new Uint8Array(result.buffer);
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
