/** Part of a plane. */
export interface PlanePart {
  readonly height: number;
  readonly width: number;
  /** [height, width] */
  readonly levels: Float32Array;
}

/** Where the pixels of an enlarged plane are stored: pixel (scale * y + row, scale * x + column) at offset(row, column) + y * rowStride + x * columnStride. */
export interface PlaneLayout {
  readonly scale: number;
  offset(row: number, column: number): number;
  readonly rowStride: number;
  readonly columnStride: number;
}

/** Levels by which an edit changes the picture: below the first the detail stays, above the second it has gone. */
const REPLACES = { from: 6, to: 26 } as const;
/** Parameter of the cubic convolution (Keys): -1 gives sharper edges than the usual -.5; what it overshoots is cut off. */
const CUBIC = -1;

/** Pixels by which planes are continued on each side, so that loops need no borders: the border repeats. */
const PAD = 2;

/** Enlarges one plane of an edit, frame after frame. */
export class PlaneEnlarger {
  readonly #height: number;
  readonly #width: number;
  readonly #layout: PlaneLayout;
  /** Offset of each pixel of a small one, rows first. */
  readonly #offsets: Int32Array;
  /** Weights of four neighbours for each place between pixels, and the offset of the first. */
  readonly #taps: readonly Taps[];
  /** Levels of the larger picture, and what it shows and the smaller one, enlarged, does not; as the layout stores them. */
  readonly #larger: Float32Array;
  readonly #detail: Float32Array;
  /** The smaller picture, and what is computed of an edit: padded. */
  readonly #own: Float32Array;
  readonly #edit: Float32Array;
  readonly #drawn: Float32Array;
  readonly #share: Float32Array;
  readonly #work: Float32Array;
  /** The plane, enlarged along rows: one plane for each place between pixels. */
  readonly #wide: readonly Float32Array[];

  /** @param own, larger the part of each picture that the edit changes */
  constructor({ height, width, levels }: PlanePart, larger: PlanePart, layout: PlaneLayout) {
    [this.#height, this.#width, this.#layout] = [height, width, layout];
    const { scale, rowStride, columnStride } = layout;
    const padded = (): Float32Array => new Float32Array((height + 2 * PAD) * (width + 2 * PAD));
    [this.#own, this.#edit, this.#drawn, this.#share, this.#work] = [padded(), padded(), padded(), padded(), padded()];
    this.#taps = Array.from({ length: scale }, (_, i) => tapsAt((i + 0.5) / scale - 0.5));
    this.#wide = this.#taps.map(padded);
    this.#offsets = Int32Array.from({ length: scale * scale }, (_, i) =>
      layout.offset(Math.floor(i / scale), i % scale),
    );
    this.#larger = new Float32Array(larger.levels.length);
    this.#detail = new Float32Array(larger.levels.length);
    this.#pad(levels, this.#own);
    this.#interpolate(this.#own, this.#detail);
    for (const [i, offset] of this.#offsets.entries())
      for (let y = 0; y < height; y++) {
        let to = offset + y * rowStride;
        let from = (scale * y + Math.floor(i / scale)) * larger.width + (i % scale);
        for (let x = 0; x < width; x++, to += columnStride, from += scale) {
          this.#larger[to] = larger.levels[from] as number;
          this.#detail[to] = (larger.levels[from] as number) - (this.#detail[to] as number);
        }
      }
  }

  /** @param edit [height, width] @param out as the layout stores it */
  enlarge(edit: Float32Array, out: Float32Array): void {
    this.#pad(edit, this.#edit);
    this.#interpolate(this.#edit, out);
    if (this.#replaced()) this.#replace(out);
  }

  /** Takes the detail away where the edit replaces the picture, and what the interpolation overshoots. */
  #replace(out: Float32Array): void {
    const [height, width, offsets, share, drawn] = [this.#height, this.#width, this.#offsets, this.#share, this.#drawn];
    const [larger, detail, own, edit] = [this.#larger, this.#detail, this.#own, this.#edit];
    const { rowStride, columnStride } = this.#layout;
    for (let i = 0; i < drawn.length; i++) drawn[i] = (own[i] as number) + (edit[i] as number);
    const stride = width + 2 * PAD;
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const at = (y + PAD) * stride + x + PAD;
        const replaced = share[at] as number;
        if (replaced === 0) continue;
        let low = drawn[at] as number;
        let high = low;
        for (let row = at - stride - 1; row <= at + stride; row += stride)
          for (let place = row; place < row + 3; place++) {
            const level = drawn[place] as number;
            if (level < low) low = level;
            else if (level > high) high = level;
          }
        const first = y * rowStride + x * columnStride;
        for (let i = 0; i < offsets.length; i++) {
          const to = first + (offsets[i] as number);
          const change = (out[to] as number) - replaced * (detail[to] as number);
          const level = (larger[to] as number) + change;
          const limited = level < low ? low : level > high ? high : level;
          out[to] = change + replaced * (limited - level);
        }
      }
  }

  /** Interpolates a padded plane along rows, then along columns. */
  #interpolate(plane: Float32Array, out: Float32Array): void {
    const [height, width, taps] = [this.#height, this.#width, this.#taps];
    const { rowStride, columnStride } = this.#layout;
    const stride = width + 2 * PAD;
    for (let column = 0; column < taps.length; column++) {
      const { first, a, b, c, d } = taps[column] as Taps;
      const wide = this.#wide[column] as Float32Array;
      for (let y = 0; y < height + 2 * PAD; y++)
        for (let to = y * stride + PAD, from = to + first, end = to + width; to < end; to++, from++)
          wide[to] =
            a * (plane[from] as number) +
            b * (plane[from + 1] as number) +
            c * (plane[from + 2] as number) +
            d * (plane[from + 3] as number);
    }
    for (let i = 0; i < this.#offsets.length; i++) {
      const { first, a, b, c, d } = taps[Math.floor(i / taps.length)] as Taps;
      const wide = this.#wide[i % taps.length] as Float32Array;
      for (let y = 0; y < height; y++) {
        let from = (y + PAD + first) * stride + PAD;
        let to = (this.#offsets[i] as number) + y * rowStride;
        for (const end = from + width; from < end; from++, to += columnStride)
          out[to] =
            a * (wide[from] as number) +
            b * (wide[from + stride] as number) +
            c * (wide[from + 2 * stride] as number) +
            d * (wide[from + 3 * stride] as number);
      }
    }
  }

  /** Writes how far the edit replaces each pixel, 0..1, smoothly: an edge that moves takes its surroundings along. @returns false when it replaces nothing */
  #replaced(): boolean {
    const [share, work, edit] = [this.#share, this.#work, this.#edit];
    const stride = this.#width + 2 * PAD;
    let any = false;
    for (let i = 0; i < edit.length; i++) {
      const change = Math.abs(edit[i] as number) - REPLACES.from;
      const part = change <= 0 ? 0 : Math.min(1, change / (REPLACES.to - REPLACES.from));
      if (part > 0) any = true;
      share[i] = part * part * (3 - 2 * part);
    }
    if (!any) return false;
    for (const step of [1, stride]) {
      for (let i = step; i < share.length - step; i++)
        work[i] = Math.max(share[i - step] as number, share[i] as number, share[i + step] as number);
      share.set(work);
    }
    for (const step of [1, stride]) {
      for (let i = step; i < share.length - step; i++)
        work[i] = ((share[i - step] as number) + (share[i] as number) + (share[i + step] as number)) / 3;
      share.set(work);
    }
    return true;
  }

  #pad(plane: Float32Array, out: Float32Array): void {
    const [height, width] = [this.#height, this.#width];
    const stride = width + 2 * PAD;
    for (let y = -PAD; y < height + PAD; y++) {
      const from = Math.min(height - 1, Math.max(0, y)) * width;
      const to = (y + PAD) * stride + PAD;
      out.set(plane.subarray(from, from + width), to);
      out.fill(plane[from] as number, to - PAD, to);
      out.fill(plane[from + width - 1] as number, to + width, to + width + PAD);
    }
  }
}

interface Taps {
  readonly first: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
}

/** @param place between pixels, from the centre of one: -.5 to .5 */
function tapsAt(place: number): Taps {
  const first = place < 0 ? -2 : -1;
  const weight = (k: number): number => cubic(Math.abs(place - first - k));
  return { first, a: weight(0), b: weight(1), c: weight(2), d: weight(3) };
}

/** R. Keys, Cubic convolution interpolation for digital image processing, 1981. */
const cubic = (x: number): number =>
  x < 1
    ? (CUBIC + 2) * x ** 3 - (CUBIC + 3) * x ** 2 + 1
    : CUBIC * x ** 3 - 5 * CUBIC * x ** 2 + 8 * CUBIC * x - 4 * CUBIC;
