import { TRIANGLE, TRIANGLE_NUMBERS, type TriangleCode, triangleCode } from '../kernels/triangle-code.js';

const PAGE_BYTES = 65_536;
const NUMBER_BYTES = 4;
/** The compiled loop draws four columns at a time. */
const LANES = 4;
/** Triangles reach this far over their sides, pixels, so that no pixel is missed between two of them. */
const OVERLAP = 0.05;
/** Twice the area of a triangle that is too narrow to be drawn, square pixels. */
const NARROW = 1e-3;

/** Where a map lies in the memory of compiled loops: byte addresses, with `LANES` numbers of room after each plane. */
export interface MapPlace {
  readonly memory: WebAssembly.Memory;
  readonly x: number;
  readonly y: number;
  /** MAP_NUMBERS numbers of working memory. */
  readonly work: number;
}
export const MAP_NUMBERS = TRIANGLE_NUMBERS;

/** Which place of the photograph each pixel of a box shows: triangles drawn with their texture coordinates. */
export class SourceMap {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  /** Per pixel of the box: place in the photograph, pixels. Pixels without a triangle keep what was there. */
  readonly x: Float32Array;
  readonly y: Float32Array;
  readonly #place: MapPlace;
  readonly #work: Float32Array;
  readonly #code: TriangleCode;

  /** @param place where the map is kept, instead of in a memory of its own */
  constructor(left: number, top: number, width: number, height: number, place = allocate(width * height)) {
    [this.left, this.top, this.width, this.height] = [left, top, width, height];
    const { buffer } = place.memory;
    this.#place = place;
    this.x = new Float32Array(buffer, place.x, width * height);
    this.y = new Float32Array(buffer, place.y, width * height);
    this.#work = new Float32Array(buffer, place.work, MAP_NUMBERS);
    this.#code = triangleCode(place.memory);
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
    const { left, top, width, height } = this;
    const ax = (to[a] as number) - left;
    const ay = (to[a + 1] as number) - top;
    const bx = (to[b] as number) - left - ax;
    const by = (to[b + 1] as number) - top - ay;
    const cx = (to[c] as number) - left - ax;
    const cy = (to[c + 1] as number) - top - ay;
    const area = bx * cy - by * cx;
    if (Math.abs(area) < NARROW) return;
    const row0 = Math.max(0, Math.ceil(ay + Math.min(0, by, cy) - 0.5 - OVERLAP));
    const row1 = Math.min(height - 1, Math.floor(ay + Math.max(0, by, cy) - 0.5 + OVERLAP));
    const col0 = Math.max(0, Math.ceil(ax + Math.min(0, bx, cx) - 0.5 - OVERLAP));
    const col1 = Math.min(width - 1, Math.floor(ax + Math.max(0, bx, cx) - 0.5 + OVERLAP));
    if (row0 > row1 || col0 > col1) return;
    const groups = Math.ceil((col1 + 1 - col0) / LANES);
    // The last group ends with the last column, so that none reaches into the next row.
    const first = Math.max(0, col1 + 1 - groups * LANES);
    const [dx, dy] = [first + 0.5 - ax, row0 + 0.5 - ay];
    const u0 = from[a] as number;
    const v0 = from[a + 1] as number;
    const ub = (from[b] as number) - u0;
    const vb = (from[b + 1] as number) - v0;
    const uc = (from[c] as number) - u0;
    const vc = (from[c + 1] as number) - v0;
    const [bAcross, bDown, cAcross, cDown] = [cy / area, -cx / area, -by / area, bx / area];
    const wb = dx * bAcross + dy * bDown;
    const wc = dx * cAcross + dy * cDown;
    const work = this.#work;
    work[TRIANGLE.b] = wb;
    work[TRIANGLE.b + 1] = bAcross;
    work[TRIANGLE.b + 2] = bDown;
    work[TRIANGLE.c] = wc;
    work[TRIANGLE.c + 1] = cAcross;
    work[TRIANGLE.c + 2] = cDown;
    work[TRIANGLE.u] = u0 + wb * ub + wc * uc;
    work[TRIANGLE.u + 1] = bAcross * ub + cAcross * uc;
    work[TRIANGLE.u + 2] = bDown * ub + cDown * uc;
    work[TRIANGLE.v] = v0 + wb * vb + wc * vc;
    work[TRIANGLE.v + 1] = bAcross * vb + cAcross * vc;
    work[TRIANGLE.v + 2] = bDown * vb + cDown * vc;
    const scale = -OVERLAP / Math.abs(area);
    work[TRIANGLE.least] = scale * Math.sqrt((cx - bx) ** 2 + (cy - by) ** 2);
    work[TRIANGLE.least + 1] = scale * Math.sqrt(cx * cx + cy * cy);
    work[TRIANGLE.least + 2] = scale * Math.sqrt(bx * bx + by * by);
    const { x, y, work: triangle } = this.#place;
    const start = (row0 * width + first) * NUMBER_BYTES;
    this.#code.draw(triangle, x + start, y + start, width * NUMBER_BYTES, row1 - row0 + 1, groups);
  }
}

function allocate(area: number): MapPlace {
  const y = (area + LANES) * NUMBER_BYTES;
  const memory = new WebAssembly.Memory({ initial: Math.ceil((2 * y + MAP_NUMBERS * NUMBER_BYTES) / PAGE_BYTES) });
  return { memory, x: 0, y, work: 2 * y };
}

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
