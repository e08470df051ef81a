/** Which place of the photograph each pixel of a box shows: triangles drawn with their texture coordinates. */
export class SourceMap {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  /** Per pixel of the box: place in the photograph, pixels. */
  readonly x: Float32Array;
  readonly y: Float32Array;
  /** 1 where a triangle was drawn. */
  readonly drawn: Uint8Array;

  /** @param places where the places are written, instead of arrays of its own */
  constructor(
    left: number,
    top: number,
    width: number,
    height: number,
    places?: { readonly x: Float32Array; readonly y: Float32Array },
  ) {
    this.left = left;
    this.top = top;
    this.width = width;
    this.height = height;
    this.x = places?.x ?? new Float32Array(width * height);
    this.y = places?.y ?? new Float32Array(width * height);
    this.drawn = new Uint8Array(width * height);
  }

  /** Draws the triangles of which a vertex moved. @param from [vertices, 2] texture @param to [vertices, 2] places */
  draw(triangles: Float32Array, from: Float32Array, to: Float32Array): void {
    for (let i = 0; i < triangles.length; i += 3) {
      const a = 2 * (triangles[i] as number);
      const b = 2 * (triangles[i + 1] as number);
      const c = 2 * (triangles[i + 2] as number);
      if (still(from, to, a) && still(from, to, b) && still(from, to, c)) continue;
      this.#triangle(from, to, a, b, c);
    }
  }

  #triangle(from: Float32Array, to: Float32Array, a: number, b: number, c: number): void {
    const { left, top, width, height, x: mapX, y: mapY, drawn } = this;
    const ax = (to[a] as number) - left;
    const ay = (to[a + 1] as number) - top;
    const bx = (to[b] as number) - left - ax;
    const by = (to[b + 1] as number) - top - ay;
    const cx = (to[c] as number) - left - ax;
    const cy = (to[c + 1] as number) - top - ay;
    const area = bx * cy - by * cx;
    if (Math.abs(area) < 1e-6) return;
    const u0 = from[a] as number;
    const v0 = from[a + 1] as number;
    const ub = (from[b] as number) - u0;
    const vb = (from[b + 1] as number) - v0;
    const uc = (from[c] as number) - u0;
    const vc = (from[c + 1] as number) - v0;
    const row0 = Math.max(0, Math.ceil(ay + Math.min(0, by, cy) - 0.5));
    const row1 = Math.min(height - 1, Math.floor(ay + Math.max(0, by, cy) - 0.5));
    const col0 = Math.max(0, Math.ceil(ax + Math.min(0, bx, cx) - 0.5));
    const col1 = Math.min(width - 1, Math.floor(ax + Math.max(0, bx, cx) - 0.5));
    const bStep = cy / area;
    const cStep = -by / area;
    const uStep = bStep * ub + cStep * uc;
    const vStep = bStep * vb + cStep * vc;
    for (let row = row0; row <= row1; row++) {
      const dy = row + 0.5 - ay;
      const dx = col0 + 0.5 - ax;
      const wb = (dx * cy - dy * cx) / area;
      const wc = (dy * bx - dx * by) / area;
      // The columns within the three sides, counted from col0.
      let from = 0;
      let to = col1 - col0;
      for (let side = 0; side < 3; side++) {
        const inside = (side === 0 ? wb : side === 1 ? wc : 1 - wb - wc) + OVERLAP;
        const step = side === 0 ? bStep : side === 1 ? cStep : -bStep - cStep;
        if (step > 0) from = Math.max(from, Math.ceil(-inside / step));
        else if (step < 0) to = Math.min(to, Math.floor(-inside / step));
        else if (inside < 0) to = -1;
      }
      let u = u0 + (wb + from * bStep) * ub + (wc + from * cStep) * uc;
      let v = v0 + (wb + from * bStep) * vb + (wc + from * cStep) * vc;
      for (let at = row * width + col0 + from, end = row * width + col0 + to; at <= end; at++, u += uStep, v += vStep) {
        mapX[at] = u;
        mapY[at] = v;
        drawn[at] = 1;
      }
    }
  }
}

/** Neighbouring triangles overlap by this much, so that no pixel is missed between them. */
const OVERLAP = 1e-5;
const STILL = 0.02;
const still = (from: Float32Array, to: Float32Array, at: number): boolean =>
  Math.abs((from[at] as number) - (to[at] as number)) < STILL &&
  Math.abs((from[at + 1] as number) - (to[at + 1] as number)) < STILL;

/** Samples a plane bilinearly at a place in its pixels; the border repeats. @param from where the plane begins in `planes` */
export function sample(planes: Float32Array, size: number, x: number, y: number, from = 0): number {
  const px = Math.min(size - 1.001, Math.max(0, x - 0.5));
  const py = Math.min(size - 1.001, Math.max(0, y - 0.5));
  const left = px | 0;
  const top = py | 0;
  const fx = px - left;
  const fy = py - top;
  const at = from + top * size + left;
  const upper = (planes[at] as number) * (1 - fx) + (planes[at + 1] as number) * fx;
  const lower = (planes[at + size] as number) * (1 - fx) + (planes[at + size + 1] as number) * fx;
  return upper * (1 - fy) + lower * fy;
}
