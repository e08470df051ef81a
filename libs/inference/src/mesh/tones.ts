/** Colours that a photograph shows of a face: its skin, its teeth, or how bright teeth would be in its light. */
import type { Levels } from '../kernels/levels.js';
import { type FaceFrame, toFace } from './face-frame.js';
import { EYES, LIPS, type Slit } from './face-points.js';
import { SlitCurves } from './lip-line.js';
import { insideLight, type SkinTone } from './mouth-interior.js';

/** Points on the cheeks whose surroundings give the colour of the skin. */
const CHEEKS = [50, 280, 205, 425] as const;
/** A gap between the lips that shows teeth, units of the face. */
const TEETH_GAP = 0.1;
/** Ranks, by luma, of the pixels between smiling lips that are teeth in the light, and the least luma of teeth against that of skin. */
const TEETH_RANKS = { from: 0.75, to: 0.97 } as const;
const TEETH_AGAINST_SKIN = 0.8;
/** Rank of the white of an eye among its pixels; above are reflections. */
const EYE_WHITE = 0.95;
/** Luma of teeth in the light of a skin of luma 150; above black, that of teeth against the white of the eye; their largest. */
const TEETH = { luma: 196, againstEye: 1.1, most: 222 } as const;
/** Share of the skin's chroma in that of teeth: both stand in the same light. */
const TINT = { u: 0.5, v: 0.35 } as const;

/** @param points [468, 3] pixels */
export function skinTone(points: Float32Array, levels: Levels, size: number): SkinTone {
  const all: SkinTone[] = [];
  for (const index of CHEEKS)
    for (let dy = -3; dy <= 3; dy++)
      for (let dx = -3; dx <= 3; dx++)
        all.push(
          toneAt(
            levels,
            size,
            Math.floor(points[3 * index] as number) + dx,
            Math.floor(points[3 * index + 1] as number) + dy,
          ),
        );
  return mean(all);
}

/**
 * The photographed teeth of a smile. Otherwise teeth as bright as the light: half of what skin and half of what the white of the eyes says where
 * that is brighter, because dark skin is not dark light.
 * @param points [468, 3] pixels
 */
export function teethTone(
  points: Float32Array,
  frame: FaceFrame,
  levels: Levels,
  size: number,
  skin: SkinTone,
): SkinTone {
  const lips = new SlitCurves(points, frame, LIPS);
  if (lips.gap((lips.left + lips.right) / 2) > TEETH_GAP) {
    const between = inside(points, LIPS, frame, levels, size);
    const ranked = (share: number): number => Math.floor(share * between.length);
    const teeth = mean(between.slice(ranked(TEETH_RANKS.from), ranked(TEETH_RANKS.to) + 1));
    if (teeth.luma > TEETH_AGAINST_SKIN * skin.luma) return { ...teeth, luma: Math.min(TEETH.most, teeth.luma) };
  }
  const bySkin = 16 + (TEETH.luma - 16) * insideLight(skin.luma);
  const whites = EYES.map((eye) => inside(points, eye, frame, levels, size));
  const white = Math.max(...whites.map((eye) => eye[Math.floor(EYE_WHITE * eye.length)]?.luma ?? 16));
  const byEyes = 16 + (white - 16) * TEETH.againstEye;
  const luma = Math.min(TEETH.most, (bySkin + Math.max(bySkin, byEyes)) / 2);
  return { luma, u: 128 + TINT.u * (skin.u - 128), v: 128 + TINT.v * (skin.v - 128) };
}

/** Colours of the pixels between the margins of a slit, away from its corners; the darkest first. */
function inside(points: Float32Array, slit: Slit, frame: FaceFrame, levels: Levels, size: number): SkinTone[] {
  const curves = new SlitCurves(points, frame, slit);
  const [middle, reach] = [(curves.left + curves.right) / 2, 0.375 * (curves.right - curves.left)];
  const places = [...slit.upper, ...slit.lower];
  const range = (axis: 0 | 1): [number, number] => {
    const all = places.map((index) => points[3 * index + axis] as number);
    return [Math.max(0, Math.floor(Math.min(...all))), Math.min(size - 1, Math.ceil(Math.max(...all)))];
  };
  const [[left, right], [top, bottom]] = [range(0), range(1)];
  const found: SkinTone[] = [];
  for (let y = top; y <= bottom; y++)
    for (let x = left; x <= right; x++) {
      const [fx, fy] = toFace(frame, x + 0.5, y + 0.5);
      if (Math.abs(fx - middle) > reach || fy < curves.upper(fx) || fy > curves.lower(fx)) continue;
      found.push(toneAt(levels, size, x, y));
    }
  return found.sort((a, b) => a.luma - b.luma);
}

function toneAt({ luma, chroma }: Levels, size: number, x: number, y: number): SkinTone {
  const half = size / 2;
  const [column, row] = [Math.min(size - 1, Math.max(0, x)), Math.min(size - 1, Math.max(0, y))];
  const small = (row >> 1) * half + (column >> 1);
  return {
    luma: luma[row * size + column] as number,
    u: chroma[small] as number,
    v: chroma[half * half + small] as number,
  };
}

function mean(tones: readonly SkinTone[]): SkinTone {
  const sum = { luma: 0, u: 0, v: 0 };
  for (const { luma, u, v } of tones) {
    sum.luma += luma;
    sum.u += u;
    sum.v += v;
  }
  return { luma: sum.luma / tones.length, u: sum.u / tones.length, v: sum.v / tones.length };
}
