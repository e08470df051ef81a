/** Teeth, tongue and the dark of the mouth, shaded without a texture: what a photograph with closed lips does not show. */
import { type FaceFrame, toFace } from './face-frame.js';
import { JAW_DROP } from './face-shapes.js';

/** Colours of a photograph that the inside of the mouth must fit: luma and chroma in levels of I420. */
export interface SkinTone {
  readonly luma: number;
  readonly u: number;
  readonly v: number;
}

/** A mouth in units of the face. */
export interface Mouth {
  readonly frame: FaceFrame;
  readonly middle: number;
  readonly halfWidth: number;
  /** Where the lips meet, at the middle. */
  readonly line: number;
  readonly skin: SkinTone;
  /** Colour of the front teeth in full light. */
  readonly teeth: SkinTone;
}

export interface Colour {
  luma: number;
  u: number;
  v: number;
}

/** Levels of I420 under the light of a skin of luma 150. */
const CAVITY: Colour = { luma: 27, u: 125, v: 139 };
/** The inside of the cheek, which the corners of the mouth show. */
const CORNER: Colour = { luma: 62, u: 121, v: 148 };
const TONGUE: Colour = { luma: 92, u: 119, v: 152 };
const SKIN_LUMA = 150;
/** Chroma of skin in a photograph with full colour; in a grey one the inside is grey too. */
const SKIN_CHROMA = 16;

/** Edges between teeth from the middle outwards, as parts of half the width of the mouth. */
const UPPER_EDGES = [0, 0.3, 0.54, 0.75, 0.92] as const;
const LOWER_EDGES = [0, 0.19, 0.4, 0.62, 0.82] as const;
/** How much shorter each upper tooth is than the front ones, units of the face. */
const SHORTER = [0, 0.008, 0.003, 0.01, 0.014] as const;
const UPPER_BELOW_LINE = 0.047;
const LOWER_BELOW_LINE = 0.01;
/** Contours of closed lips differ by less than this between their points, units of the face. */
const CLOSED_GAP = 0.025;
/** Halves of the mouth are shaded by tables of this many columns. */
const COLUMNS = 128;

const clamp = (value: number): number => Math.min(1, Math.max(0, value));
const ramp = (from: number, to: number, value: number): number => {
  const share = clamp((value - from) / (to - from));
  return share * share * (3 - 2 * share);
};

/** What depends only on the distance from the middle of the mouth, by column. */
const table = (value: (across: number) => number): Float32Array =>
  Float32Array.from({ length: COLUMNS + 1 }, (_, i) => value(i / COLUMNS));
const ACROSS = {
  cheek: table((across) => 0.8 * ramp(0.72, 1, across)),
  tongue: table((across) => 1 - ramp(0.55, 0.85, across)),
  tongueTop: table((across) => 0.02 + 0.1 * across ** 2),
  /** A furrow in the middle, and light on both sides of it. */
  tongueLight: table(
    (across) => 0.5 - 0.14 * Math.exp(-((across / 0.06) ** 2)) + 0.14 * Math.exp(-(((across - 0.22) / 0.14) ** 2)),
  ),
  upperEnd: table((across) => UPPER_BELOW_LINE - 0.05 * across ** 2 - shortening(across)),
  upperLight: table((across) => (1 - 0.5 * across ** 2) * (1 - 0.13 * seam(across, UPPER_EDGES))),
  upper: table((across) => 1 - ramp(0.8, 1, across)),
  lowerTop: table((across) => LOWER_BELOW_LINE - 0.03 * across ** 2 + 0.008 * corner(across, LOWER_EDGES)),
  lowerLight: table((across) => (0.78 - 0.45 * across ** 2) * (1 - 0.2 * seam(across, LOWER_EDGES))),
  lower: table((across) => 1 - ramp(0.75, 0.95, across)),
} as const;

/** Shades one mouth. Light and colours follow the photograph. */
export class MouthInterior {
  readonly #mouth: Mouth;
  readonly #light: number;
  readonly #saturation: number;
  /** Softness of edges: a pixel and a half, units of the face. */
  readonly #soft: number;
  #drop = 0;
  #luma = 0;
  #u = 0;
  #v = 0;

  constructor(mouth: Mouth) {
    this.#mouth = mouth;
    const { luma, u, v } = mouth.skin;
    this.#light = insideLight(luma);
    this.#saturation = clamp(Math.hypot(u - 128, v - 128) / SKIN_CHROMA);
    this.#soft = 0.75 / mouth.frame.unit;
  }

  /** @param open weight of the jaw shape */
  pose(open: number): void {
    this.#drop = JAW_DROP * open;
  }

  /** @param top, bottom the lips' contours at this column, pixels @param out the colour at (x, y), pixels @returns how much of it is seen, 0..1 */
  shade(x: number, y: number, top: number, bottom: number, out: Colour): number {
    const { frame, middle, halfWidth, line, teeth } = this.#mouth;
    const [drop, soft, light] = [this.#drop, this.#soft, this.#light];
    const [fx, fy] = toFace(frame, x, y);
    const column = Math.min(COLUMNS, Math.abs((fx - middle) / halfWidth) * COLUMNS) | 0;
    const below = fy - line;
    [this.#luma, this.#u, this.#v] = [CAVITY.luma, CAVITY.u, CAVITY.v];
    this.#mix(CORNER, 1, ACROSS.cheek[column] as number);
    const height = below - drop * 0.5 - (ACROSS.tongueTop[column] as number);
    if (height > -soft)
      this.#mix(
        TONGUE,
        0.4 + (ACROSS.tongueLight[column] as number) * ramp(0, 0.16, height) - 0.15 * ramp(0.12, 0.26, height),
        ramp(-0.02, 0.05, height) * (ACROSS.tongue[column] as number),
      );
    this.#luma = 16 + (this.#luma - 16) * light;
    const lower = below - drop - (ACROSS.lowerTop[column] as number);
    if (lower > -soft)
      this.#mix(
        teeth,
        (ACROSS.lowerLight[column] as number) * (0.8 + 0.2 * ramp(0, 0.06, lower)),
        ramp(-soft, soft, lower) * (ACROSS.lower[column] as number),
      );
    const upper = (ACROSS.upperEnd[column] as number) - below;
    if (upper > -soft)
      this.#mix(
        teeth,
        (ACROSS.upperLight[column] as number) * (0.88 + 0.12 * ramp(0, 0.04, upper)),
        ramp(-soft, soft, upper) * (ACROSS.upper[column] as number),
      );
    // The upper lip shadows what is behind it, the lower lip much less.
    const unit = frame.unit;
    const shadow = (0.62 + 0.38 * ramp(0, 0.05, (y - top) / unit)) * (0.75 + 0.25 * ramp(0, 0.04, (bottom - y) / unit));
    out.luma = 16 + (this.#luma - 16) * shadow;
    out.u = 128 + (this.#u - 128) * this.#saturation;
    out.v = 128 + (this.#v - 128) * this.#saturation;
    return Math.min(1, (bottom - top) / unit / CLOSED_GAP);
  }

  #mix(colour: SkinTone, shade: number, share: number): void {
    this.#luma += (16 + (colour.luma - 16) * shade - this.#luma) * share;
    this.#u += (colour.u - this.#u) * share;
    this.#v += (colour.v - this.#v) * share;
  }
}

/** How much light the inside of a mouth has, 1 under a skin of luma 150: half of what makes skin dark is its colour, not the light. */
export const insideLight = (luma: number): number =>
  Math.min(1.25, Math.max(0.45, 0.35 + (0.65 * (luma - 16)) / (SKIN_LUMA - 16)));

function nearest(across: number, edges: readonly number[]): number {
  return Math.min(...edges.map((edge) => Math.abs(across - edge)));
}

/** How near the edge between two teeth is, 0..1. */
function seam(across: number, edges: readonly number[]): number {
  return Math.exp(-((nearest(across, edges) / 0.025) ** 2));
}

/** How near a rounded corner of a tooth is, 0..1. */
function corner(across: number, edges: readonly number[]): number {
  return Math.exp(-((nearest(across, edges) / 0.05) ** 2));
}

/** How much shorter the upper teeth are than their length in the middle of the front ones, units of the face; it changes smoothly from tooth to tooth. */
function shortening(across: number): number {
  const tooth = UPPER_EDGES.findLastIndex((edge) => edge <= across);
  const [here, next] = [SHORTER[tooth] as number, SHORTER[tooth + 1] ?? 0.02];
  const end = UPPER_EDGES[tooth + 1] ?? 1.1;
  return here + (next - here) * ramp(end - 0.04, end, across) + 0.008 * corner(across, UPPER_EDGES);
}
