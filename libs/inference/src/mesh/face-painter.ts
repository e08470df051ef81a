import type { Planes } from '../kernels/compose-frames.js';
import type { FaceFrame } from './face-frame.js';
import { EYES, LIPS } from './face-points.js';
import { RIG, ROLLS, SHAPES, shapeWeights } from './face-shapes.js';
import { type Colour, type Mouth, MouthInterior } from './mouth-interior.js';
import { type PhotoMesh, SLITS } from './photo-mesh.js';
import { SkinSampler } from './skin-sampler.js';
import { SlitColumns } from './slit-columns.js';
import { sample } from './source-map.js';

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
  /** For each eye how much of its lid is hidden by the frame of glasses, 0..1. */
  readonly lidCover: readonly [number, number];
}

const JAW = SHAPES.indexOf('jaw');
const BLINK = SHAPES.indexOf('blink');
/** Skin that stands for a lid: how far below the eye it begins, units of the face, its height relative to the lid's, the shadow of the frame, and how soft its upper edge is. */
const LID = { below: 0.04, reflection: 0.4, shade: 0.93, edge: 0.06 } as const;
/** Darkness that is not seen. */
const VISIBLE = 0.01;
/** How far a gaze of 1 moves the iris, units of the face. */
const GAZE = { x: 0.055, y: 0.035 } as const;
/** A line where the margins of a slit meet: darkness, half width, and the gap at which it has gone; units of the face. */
const LIP_LINE = { darkness: 0.33, width: 0.022, gap: 0.06, isHair: false } as const;
const LASHES = { darkness: 0.5, width: 0.018, gap: 0.05, isHair: true } as const;
/** Below the line of a closed eye: lashes, which hang down as far as `length`, longest towards the temple. */
const FRINGE = { darkness: 0.34, length: 0.085, count: 9 } as const;
/** The fold above a closed lid: as far above the margin of the open eye, and as soft. */
const CREASE = { darkness: 0.09, above: 0.015, width: 0.024 } as const;

/** Paints the face of one photograph: skin by moved triangles, then mouth and eyes into their slits with smooth margins. */
export class FacePainter {
  /** [2, h / 2, w / 2] chroma that the frame shows in the box; `luma` is [h, w]. */
  readonly #levels: Float32Array;
  /** The same before mouth and eyes are filled. */
  readonly #bare: Float32Array;
  readonly #luma: Float32Array;
  readonly #photo: Photo;
  /** U and V of the whole photograph. */
  readonly #chroma: readonly [Float32Array, Float32Array];
  readonly #sampler: SkinSampler;
  readonly #places: Float32Array;
  readonly #texture: Float32Array;
  readonly #slits: readonly SlitColumns[];
  readonly #openEyes: readonly SlitColumns[];
  readonly #covered: SlitColumns;
  readonly #interior: MouthInterior;
  readonly #colour: Colour = { luma: 0, u: 0, v: 0 };

  constructor(photo: Photo) {
    this.#photo = photo;
    const { left, width } = photo.box;
    const area = photo.chroma.length / 2;
    this.#chroma = [photo.chroma.subarray(0, area), photo.chroma.subarray(area)];
    this.#sampler = new SkinSampler(photo.size, photo, photo.box);
    [this.#luma, this.#levels] = [this.#sampler.luma, this.#sampler.chroma];
    this.#bare = new Float32Array(this.#levels.length);
    this.#places = new Float32Array(photo.mesh.places.length);
    this.#texture = new Float32Array(photo.mesh.places.length);
    this.#slits = SLITS.map((slit) => new SlitColumns(slit, left, width));
    this.#interior = new MouthInterior(photo.mouth);
    this.#openEyes = EYES.map((slit) => new SlitColumns(slit, left, width));
    for (const eye of this.#openEyes) eye.update(photo.mesh.places);
    this.#covered = new SlitColumns(LIPS, left, width);
  }

  /** Paints one frame over the photograph. @param rig one row of rig numbers */
  paint(rig: Float32Array, planes: Planes): void {
    const weights = shapeWeights(rig);
    this.#move(weights);
    this.#skin();
    for (const slit of this.#slits) slit.update(this.#places);
    const [mouth, ...eyes] = this.#slits as [SlitColumns, SlitColumns, SlitColumns];
    for (const [i, eye] of eyes.entries()) {
      this.#lid(i, eye);
      if ((weights[BLINK] as number) < 1) this.#eye(eye, rig);
      this.#crease(i, eye, weights[BLINK] as number);
      this.#line(eye, LASHES, weights[BLINK] as number);
      this.#fringe(i, eye, weights[BLINK] as number);
    }
    this.#lips(mouth, weights[JAW] as number);
    this.#show(planes);
  }

  #move(weights: readonly number[]): void {
    const { places, basis, texture, rolls } = this.#photo.mesh;
    this.#places.set(places);
    this.#texture.set(texture);
    for (const [i, weight] of weights.entries()) addScaled(this.#places, basis, i, weight);
    for (const [i, shape] of ROLLS.entries())
      addScaled(this.#texture, rolls, i, weights[SHAPES.indexOf(shape)] as number);
  }

  #skin(): void {
    this.#sampler.show(this.#photo.mesh.triangles, this.#texture, this.#places);
    this.#bare.set(this.#levels);
  }

  /** Behind glasses there is no skin above the eye to pull down: the closed lid shows the skin below the eye, mirrored. */
  #lid(index: number, eye: SlitColumns): void {
    const { size, luma, frame, lidCover } = this.#photo;
    const weight = lidCover[index] as number;
    const rest = this.#openEyes[index];
    if (weight === 0 || rest === undefined) return;
    const [chroma, covered] = [this.#chroma, this.#covered];
    covered.first = Math.max(rest.first, eye.first);
    covered.last = Math.min(rest.last, eye.last);
    for (let column = covered.first; column <= covered.last; column++) {
      covered.top[column] = rest.top[column] as number;
      covered.bottom[column] = eye.top[column] as number;
    }
    const half = size / 2;
    const left = this.#photo.box.left;
    const edge = LID.edge * frame.unit;
    this.#fill(covered, (x, y, top, bottom, out) => {
      const below = rest.bottom[Math.floor(x) - left] as number;
      const sy = below + LID.below * frame.unit + LID.reflection * (below - y);
      const lashes = LASHES.darkness * Math.exp(-(((bottom - y) / (LASHES.width * frame.unit)) ** 2));
      out.luma = 16 + (sample(luma, size, x, sy) - 16) * LID.shade * (1 - lashes);
      out.u = sample(chroma[0], half, x / 2, sy / 2);
      out.v = sample(chroma[1], half, x / 2, sy / 2);
      return weight * Math.min(1, (y - top) / edge);
    });
  }

  /** The eyeball is the photograph's own, moved by the gaze; between the lids it moves less. */
  #eye(slit: SlitColumns, rig: Float32Array): void {
    const { size, luma, frame, box } = this.#photo;
    const chroma = this.#chroma;
    const gazeX = (rig[RIG.gazeX] as number) * GAZE.x * frame.unit;
    const gazeY = (rig[RIG.gazeY] as number) * GAZE.y * frame.unit;
    const half = size / 2;
    this.#fill(slit, (x, y, top, bottom, out) => {
      const across = (x - box.left - slit.first) / Math.max(1, slit.last - slit.first);
      const along = (y - top) / Math.max(1, bottom - top);
      const free = 4 * across * (1 - across);
      const steady = Math.min(1, 6 * along * (1 - along));
      const sx = x - gazeX * free * steady;
      const sy = y - gazeY * free * steady;
      out.luma = sample(luma, size, sx, sy);
      out.u = sample(chroma[0], half, sx / 2, sy / 2);
      out.v = sample(chroma[1], half, sx / 2, sy / 2);
      return 1;
    });
  }

  #lips(slit: SlitColumns, open: number): void {
    this.#interior.pose(open);
    this.#line(slit, LIP_LINE, 1);
    this.#fill(slit, (x, y, top, bottom, out) => this.#interior.shade(x, y, top, bottom, out));
  }

  /** Darkens the line where the margins of a slit meet; it fades as they part. */
  #line(slit: SlitColumns, line: typeof LIP_LINE | typeof LASHES, weight: number): void {
    const { unit } = this.#photo.frame;
    const width = line.width * unit;
    for (let column = slit.first; column <= slit.last; column++) {
      const [top, bottom] = [slit.top[column] as number, slit.bottom[column] as number];
      const across = acrossOf(slit, column);
      const darkness = weight * line.darkness * Math.max(0, 1 - (bottom - top) / unit / line.gap) * (1 - across ** 4);
      if (darkness <= 0) continue;
      const middle = (top + bottom) / 2;
      this.#darken(column, middle - 3 * width, middle + 3 * width, line.isHair, (y) => {
        return darkness * Math.exp(-(((y - middle) / width) ** 2));
      });
    }
  }

  /** The fold of a lid stays near the margin of the open eye while the lid closes below it. */
  #crease(index: number, eye: SlitColumns, blink: number): void {
    const rest = this.#openEyes[index];
    const weight = CREASE.darkness * blink * (1 - (this.#photo.lidCover[index] as number));
    if (rest === undefined || weight < VISIBLE) return;
    const { unit } = this.#photo.frame;
    const width = CREASE.width * unit;
    for (let column = eye.first; column <= eye.last; column++) {
      const across = acrossOf(eye, column);
      const middle = (rest.top[column] as number) - CREASE.above * unit;
      this.#darken(column, middle - 3 * width, middle + 3 * width, false, (y) => {
        return weight * (1 - across ** 4) * Math.exp(-(((y - middle) / width) ** 2));
      });
    }
  }

  #fringe(index: number, eye: SlitColumns, blink: number): void {
    const weight = FRINGE.darkness * blink ** 4;
    if (weight < VISIBLE) return;
    const { unit } = this.#photo.frame;
    for (let column = eye.first; column <= eye.last; column++) {
      const across = acrossOf(eye, column);
      const outwards = index === 0 ? -across : across;
      const strand = 0.82 + 0.1 * Math.cos(Math.PI * FRINGE.count * across) + 0.08 * Math.cos(17 * across + 1);
      const length = FRINGE.length * unit * (0.6 + 0.4 * outwards) * strand;
      const top = eye.bottom[column] as number;
      const share = weight * (1 - across ** 6);
      this.#darken(column, top, top + length, true, (y) => share * (1 - (y - top) / length));
    }
  }

  /** Darkens the pixels of a column whose middles lie between two heights by the share that `darkness` gives, 0..1; hair also takes colour away. */
  #darken(column: number, from: number, to: number, isHair: boolean, darkness: (y: number) => number): void {
    const { top, width, height } = this.#photo.box;
    const last = Math.min(height - 1, Math.floor(to - top - 0.5));
    for (let row = Math.max(0, Math.ceil(from - top - 0.5)); row <= last; row++) {
      const at = row * width + column;
      const share = darkness(row + top + 0.5);
      this.#luma[at] = 16 + ((this.#luma[at] as number) - 16) * (1 - share);
      if (!isHair) continue;
      const small = ((row >> 1) * width) / 2 + (column >> 1);
      for (const place of [small, small + (width * height) / 4])
        this.#levels[place] = (this.#levels[place] as number) + ((128 - (this.#levels[place] as number)) * share) / 8;
    }
  }

  /** Blends the colour that `shade` makes, as much of it as it returns, into the opening of a slit; a pixel that the margin crosses gets its share. */
  #fill(slit: SlitColumns, shade: (x: number, y: number, top: number, bottom: number, out: Colour) => number): void {
    const [out, levels, bare, luma] = [this.#colour, this.#levels, this.#bare, this.#luma];
    const { left, top: boxTop, width, height } = this.#photo.box;
    const area = (width * height) / 4;
    for (let column = slit.first; column <= slit.last; column++) {
      const top = slit.top[column] as number;
      const bottom = slit.bottom[column] as number;
      const last = Math.min(height - 1, Math.floor(bottom - boxTop));
      for (let row = Math.max(0, Math.floor(top - boxTop)); row <= last; row++) {
        const y = row + boxTop;
        const inside = Math.min(1, Math.min(y + 1, bottom) - Math.max(y, top));
        if (inside <= 0) continue;
        const share = inside * shade(column + left + 0.5, y + 0.5, top, bottom, out);
        const at = row * width + column;
        luma[at] = (luma[at] as number) + (out.luma - (luma[at] as number)) * share;
        const small = ((row >> 1) * width) / 2 + (column >> 1);
        levels[small] = (levels[small] as number) + ((out.u - (bare[small] as number)) * share) / 4;
        levels[area + small] =
          (levels[area + small] as number) + ((out.v - (bare[area + small] as number)) * share) / 4;
      }
    }
  }

  /** Puts the box into the planes of a frame. */
  #show({ luma, u, v }: Planes): void {
    const { size, box } = this.#photo;
    const { left, top, width, height } = box;
    const half = size / 2;
    for (let row = 0; row < height; row++)
      luma.set(this.#luma.subarray(row * width, (row + 1) * width), (top + row) * size + left);
    const [w, h] = [width / 2, height / 2];
    for (let row = 0; row < h; row++) {
      const to = (top / 2 + row) * half + left / 2;
      u.set(this.#levels.subarray(row * w, (row + 1) * w), to);
      v.set(this.#levels.subarray((h + row) * w, (h + row + 1) * w), to);
    }
  }
}

/** Place of a column between the corners of a slit, -1..1. */
const acrossOf = ({ first, last }: SlitColumns, column: number): number =>
  (2 * (column - first)) / Math.max(1, last - first) - 1;

/** Adds the `index`th row of `rows`, times a weight. */
function addScaled(to: Float32Array, rows: Float32Array, index: number, weight: number): void {
  if (weight === 0) return;
  const from = index * to.length;
  for (let i = 0; i < to.length; i++) to[i] = (to[i] as number) + weight * (rows[from + i] as number);
}
