import type { FaceFrame } from './face-frame.js';
import { RIG, SHAPES, shapeWeights } from './face-shapes.js';
import { type Colour, type Mouth, MouthInterior } from './mouth-interior.js';
import { type PhotoMesh, SLITS } from './photo-mesh.js';
import { SlitColumns } from './slit-columns.js';
import { SourceMap, sample } from './source-map.js';

/** A rectangle in pixels of the picture; all numbers are even. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** A photograph prepared for painting. */
export interface Photo {
  readonly size: number;
  /** [size, size] and [2, size / 2, size / 2], levels of I420. */
  readonly luma: Float32Array;
  readonly chroma: Float32Array;
  readonly frame: FaceFrame;
  readonly mesh: PhotoMesh;
  readonly mouth: Mouth;
  readonly box: Box;
}

const JAW = SHAPES.indexOf('jaw');
/** How far a gaze of 1 moves the iris, units of the face. */
const GAZE = { x: 0.055, y: 0.035 } as const;
/** Darkness of the line between closed lips, and its half width in units of the face. */
const LINE = { darkness: 0.4, width: 0.014 } as const;

/** Paints the face of one photograph: skin by moved triangles, then mouth and eyes into their slits with smooth margins. */
export class FacePainter {
  /** [2, h / 2, w / 2] chroma that the frame shows in the box; `luma` is [h, w]. */
  private readonly levels: Float32Array;
  /** The same before mouth and eyes are filled. */
  private readonly bare: Float32Array;
  private readonly luma: Float32Array;
  private readonly photo: Photo;
  private readonly map: SourceMap;
  private readonly places: Float32Array;
  private readonly slits: readonly SlitColumns[];
  private readonly interior: MouthInterior;
  private readonly colour: Colour = { luma: 0, u: 0, v: 0 };

  constructor(photo: Photo) {
    this.photo = photo;
    const { left, top, width, height } = photo.box;
    this.map = new SourceMap(left, top, width, height);
    this.luma = new Float32Array(width * height);
    this.levels = new Float32Array((width * height) / 2);
    this.bare = new Float32Array((width * height) / 2);
    this.places = new Float32Array(photo.mesh.places.length);
    this.slits = SLITS.map((slit) => new SlitColumns(slit, left, width));
    this.interior = new MouthInterior(photo.mouth);
  }

  /** Writes the residual of one frame, [6, h / 2, w / 2] as compose-frames takes it. @param rig one row of rig numbers */
  paint(rig: Float32Array, edit: Float32Array): void {
    const weights = shapeWeights(rig);
    this.move(weights);
    this.skin();
    for (const slit of this.slits) slit.update(this.places);
    const [mouth, ...eyes] = this.slits as [SlitColumns, SlitColumns, SlitColumns];
    for (const eye of eyes) this.eye(eye, rig);
    this.lips(mouth, weights[JAW] as number);
    this.pack(edit);
  }

  private move(weights: readonly number[]): void {
    const { places: rest, basis } = this.photo.mesh;
    this.places.set(rest);
    weights.forEach((weight, shape) => {
      if (weight === 0) return;
      const from = shape * rest.length;
      for (let i = 0; i < rest.length; i++)
        this.places[i] = (this.places[i] as number) + weight * (basis[from + i] as number);
    });
  }

  private skin(): void {
    const { size, luma, chroma, mesh, box } = this.photo;
    const { map } = this;
    map.clear();
    map.draw(mesh.triangles, mesh.texture, this.places);
    const { left, top, width, height } = box;
    for (let row = 0; row < height; row++)
      for (let column = 0; column < width; column++) {
        const at = row * width + column;
        if (map.drawn[at] === 1) {
          this.luma[at] = sample(luma, size, map.x[at] as number, map.y[at] as number);
        } else {
          map.x[at] = column + left + 0.5;
          map.y[at] = row + top + 0.5;
          this.luma[at] = luma[(row + top) * size + column + left] as number;
        }
      }
    const half = size / 2;
    const area = (width * height) / 4;
    const planes = [chroma.subarray(0, half * half), chroma.subarray(half * half)] as const;
    for (let row = 0; row < height; row += 2)
      for (let column = 0; column < width; column += 2) {
        const a = row * width + column;
        const b = a + width;
        const x =
          ((map.x[a] as number) + (map.x[a + 1] as number) + (map.x[b] as number) + (map.x[b + 1] as number)) / 8;
        const y =
          ((map.y[a] as number) + (map.y[a + 1] as number) + (map.y[b] as number) + (map.y[b + 1] as number)) / 8;
        const at = (row * width) / 4 + column / 2;
        this.bare[at] = sample(planes[0], half, x, y);
        this.bare[area + at] = sample(planes[1], half, x, y);
      }
    this.levels.set(this.bare);
  }

  /** The eyeball is the photograph's own, moved by the gaze; between the lids it moves less. */
  private eye(slit: SlitColumns, rig: Float32Array): void {
    const { size, luma, chroma, frame, box } = this.photo;
    const gazeX = (rig[RIG.gazeX] as number) * GAZE.x * frame.unit;
    const gazeY = (rig[RIG.gazeY] as number) * GAZE.y * frame.unit;
    const half = size / 2;
    const planes = [chroma.subarray(0, half * half), chroma.subarray(half * half)] as const;
    this.fill(slit, (x, y, top, bottom, out) => {
      const across = (x - box.left - slit.first) / Math.max(1, slit.last - slit.first);
      const along = (y - top) / Math.max(1, bottom - top);
      const free = 4 * across * (1 - across);
      const steady = Math.min(1, 6 * along * (1 - along));
      const sx = x - gazeX * free * steady;
      const sy = y - gazeY * free * steady;
      out.luma = sample(luma, size, sx, sy);
      out.u = sample(planes[0], half, sx / 2, sy / 2);
      out.v = sample(planes[1], half, sx / 2, sy / 2);
    });
  }

  private lips(slit: SlitColumns, open: number): void {
    const { frame, box } = this.photo;
    this.interior.pose(open);
    const reach = Math.ceil(3 * LINE.width * frame.unit) + 1;
    for (let column = slit.first; column <= slit.last; column++) {
      const [top, bottom] = [slit.top[column] as number, slit.bottom[column] as number];
      const gap = (bottom - top) / frame.unit;
      const across = (2 * (column - slit.first)) / Math.max(1, slit.last - slit.first) - 1;
      const darkness = LINE.darkness * Math.max(0, 1 - gap / 0.06) * (1 - across ** 4);
      if (darkness <= 0) continue;
      const line = (top + bottom) / 2;
      for (let row = Math.floor(line) - reach; row <= line + reach; row++) {
        if (row < box.top || row >= box.top + box.height) continue;
        const at = (row - box.top) * box.width + column;
        const share = darkness * Math.exp(-(((row + 0.5 - line) / (LINE.width * frame.unit)) ** 2));
        this.luma[at] = 16 + ((this.luma[at] as number) - 16) * (1 - share);
      }
    }
    this.fill(slit, (x, y, top, bottom, out) => this.interior.shade(x, y, top, bottom, out));
  }

  /** Blends a colour into the opening of a slit; a pixel that the margin crosses gets its share. */
  private fill(
    slit: SlitColumns,
    shade: (x: number, y: number, top: number, bottom: number, out: Colour) => void,
  ): void {
    const { colour: out, levels, bare, luma } = this;
    const { left, top: boxTop, width, height } = this.photo.box;
    const area = (width * height) / 4;
    for (let column = slit.first; column <= slit.last; column++) {
      const top = slit.top[column] as number;
      const bottom = slit.bottom[column] as number;
      const last = Math.min(height - 1, Math.floor(bottom - boxTop));
      for (let row = Math.max(0, Math.floor(top - boxTop)); row <= last; row++) {
        const y = row + boxTop;
        const share = Math.min(1, Math.max(0, Math.min(y + 1, bottom) - Math.max(y, top)));
        if (share <= 0) continue;
        shade(column + left + 0.5, y + 0.5, top, bottom, out);
        const at = row * width + column;
        luma[at] = (luma[at] as number) + (out.luma - (luma[at] as number)) * share;
        const small = ((row >> 1) * width) / 2 + (column >> 1);
        levels[small] = (levels[small] as number) + ((out.u - (bare[small] as number)) * share) / 4;
        levels[area + small] =
          (levels[area + small] as number) + ((out.v - (bare[area + small] as number)) * share) / 4;
      }
    }
  }

  private pack(edit: Float32Array): void {
    const { size, luma, chroma, box } = this.photo;
    const { left, top, width, height } = box;
    const [w, h] = [width / 2, height / 2];
    const area = w * h;
    const half = size / 2;
    for (let row = 0; row < height; row++)
      for (let column = 0; column < width; column++) {
        const phase = (row & 1) * 2 + (column & 1);
        const before = luma[(row + top) * size + column + left] as number;
        edit[phase * area + (row >> 1) * w + (column >> 1)] = (this.luma[row * width + column] as number) - before;
      }
    for (let plane = 0; plane < 2; plane++)
      for (let row = 0; row < h; row++)
        for (let column = 0; column < w; column++) {
          const at = plane * area + row * w + column;
          const before = chroma[plane * half * half + (row + top / 2) * half + column + left / 2] as number;
          edit[4 * area + at] = (this.levels[at] as number) - before;
        }
  }
}
