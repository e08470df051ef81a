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
const TEETH_LUMA = 196;
/** Share of the skin's chroma in that of teeth: both stand in the same light. */
const TEETH_TINT = 0.3;
const SKIN_LUMA = 150;
/** Chroma of skin in a photograph with full colour; in a grey one the inside is grey too. */
const SKIN_CHROMA = 16;

/** Edges between teeth from the middle outwards, as parts of half the width of the mouth. */
const UPPER_EDGES = [0, 0.3, 0.52, 0.74, 0.92] as const;
const LOWER_EDGES = [0, 0.19, 0.4, 0.62, 0.82] as const;
const UPPER_BELOW_LINE = 0.045;
const LOWER_BELOW_LINE = 0.01;

const clamp = (value: number): number => Math.min(1, Math.max(0, value));
const ramp = (from: number, to: number, value: number): number => {
  const share = clamp((value - from) / (to - from));
  return share * share * (3 - 2 * share);
};

/** Shades one mouth. Light and colours follow the photograph's skin. */
export class MouthInterior {
  readonly #mouth: Mouth;
  readonly #teeth: Colour;
  readonly #light: number;
  readonly #saturation: number;
  /** Softness of edges: a pixel and a half, units of the face. */
  readonly #soft: number;
  #drop = 0;

  constructor(mouth: Mouth) {
    this.#mouth = mouth;
    const { luma, u, v } = mouth.skin;
    this.#light = Math.min(1.25, Math.max(0.45, 0.35 + (0.65 * (luma - 16)) / (SKIN_LUMA - 16)));
    this.#teeth = { luma: TEETH_LUMA, u: 128 + TEETH_TINT * (u - 128), v: 128 + TEETH_TINT * (v - 128) };
    this.#saturation = clamp(Math.hypot(u - 128, v - 128) / SKIN_CHROMA);
    this.#soft = 0.75 / mouth.frame.unit;
  }

  /** @param open weight of the jaw shape */
  pose(open: number): void {
    this.#drop = JAW_DROP * open;
  }

  /** @param top, bottom the lips' contours at this column, pixels @param out the colour at (x, y), pixels */
  shade(x: number, y: number, top: number, bottom: number, out: Colour): void {
    const { frame, middle, halfWidth, line } = this.#mouth;
    const [drop, soft] = [this.#drop, this.#soft];
    const [fx, fy] = toFace(frame, x, y);
    const across = (fx - middle) / halfWidth;
    const far = across * across;
    const below = fy - line;
    let { luma, u, v } = CAVITY;
    const mix = (colour: Colour, shade: number, share: number): void => {
      luma += (16 + (colour.luma - 16) * shade - luma) * share;
      u += (colour.u - u) * share;
      v += (colour.v - v) * share;
    };
    mix(CORNER, 1, 0.8 * ramp(0.72, 1, Math.abs(across)));
    const tongueTop = drop * 0.5 + 0.02 + 0.1 * far;
    const height = below - tongueTop;
    if (height > -soft && Math.abs(across) < 0.85)
      mix(
        TONGUE,
        0.45 + 0.5 * ramp(0, 0.16, height) - 0.12 * Math.exp(-((across / 0.07) ** 2)),
        ramp(-0.02, 0.05, height) * (1 - ramp(0.55, 0.85, Math.abs(across))),
      );
    const lowerTop = drop + LOWER_BELOW_LINE - 0.03 * far + scallop(across, LOWER_EDGES);
    const lower = below - lowerTop;
    if (lower > -soft) {
      const shade = (0.78 - 0.45 * far) * (1 - 0.2 * seam(across, LOWER_EDGES)) * (0.8 + 0.2 * ramp(0, 0.06, lower));
      mix(this.#teeth, shade, ramp(-soft, soft, lower) * (1 - ramp(0.75, 0.95, Math.abs(across))));
    }
    const upper = UPPER_BELOW_LINE - 0.05 * far - scallop(across, UPPER_EDGES) - below;
    if (upper > -soft) {
      const shade = (1 - 0.5 * far) * (1 - 0.13 * seam(across, UPPER_EDGES)) * (0.88 + 0.12 * ramp(0, 0.05, upper));
      mix(this.#teeth, shade, ramp(-soft, soft, upper) * (1 - ramp(0.8, 1, Math.abs(across))));
    }
    // The upper lip shadows what is behind it, the lower lip much less.
    const unit = frame.unit;
    const shadow = (0.62 + 0.38 * ramp(0, 0.05, (y - top) / unit)) * (0.75 + 0.25 * ramp(0, 0.04, (bottom - y) / unit));
    out.luma = 16 + (luma - 16) * shadow * this.#light;
    out.u = 128 + (u - 128) * this.#saturation;
    out.v = 128 + (v - 128) * this.#saturation;
  }
}

/** How near the edge between two teeth is, 0..1. */
function seam(across: number, edges: readonly number[]): number {
  const place = Math.abs(across);
  let nearest = 1;
  for (const edge of edges) nearest = Math.min(nearest, Math.abs(place - edge));
  return Math.exp(-((nearest / 0.025) ** 2));
}

/** Rounded corners of teeth, units of the face. */
function scallop(across: number, edges: readonly number[]): number {
  const place = Math.abs(across);
  let nearest = 1;
  for (const edge of edges) nearest = Math.min(nearest, Math.abs(place - edge));
  return 0.008 * Math.exp(-((nearest / 0.05) ** 2));
}
