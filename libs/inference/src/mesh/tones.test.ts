import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faceFrame } from './face-frame.js';
import { EYES, FACE_POINTS, LIPS, type Slit } from './face-points.js';
import type { SkinTone } from './mouth-interior.js';
import { skinTone, teethTone } from './tones.js';

const SIZE = 128;
const CHEEKS = [50, 280, 205, 425];

/** A face of one skin, with eyes and a mouth that is open by `gap` pixels, each in its colour. */
function face(skin: SkinTone, white: SkinTone, gap: number, mouth: SkinTone) {
  const points = new Float32Array(3 * FACE_POINTS);
  const put = (index: number, x: number, y: number): void => points.set([x, y, 0], 3 * index);
  const slit = ({ upper, lower }: Slit, left: number, right: number, y: number, height: number): void => {
    for (const [row, sign] of [
      [upper, -1],
      [lower, 1],
    ] as const)
      row.forEach((index, i) => {
        const share = i / (row.length - 1);
        put(index, left + share * (right - left), y + sign * (height / 2) * (share > 0 && share < 1 ? 1 : 0));
      });
  };
  const levels = { luma: new Float32Array(SIZE * SIZE).fill(skin.luma), chroma: new Float32Array((SIZE * SIZE) / 2) };
  levels.chroma.fill(skin.u, 0, (SIZE * SIZE) / 4).fill(skin.v, (SIZE * SIZE) / 4);
  const paint = (left: number, right: number, top: number, bottom: number, { luma, u, v }: SkinTone): void => {
    for (let y = top; y < bottom; y++)
      for (let x = left; x < right; x++) {
        levels.luma[y * SIZE + x] = luma;
        const small = (y >> 1) * (SIZE / 2) + (x >> 1);
        levels.chroma[small] = u;
        levels.chroma[(SIZE * SIZE) / 4 + small] = v;
      }
  };
  slit(EYES[0], 32, 52, 44, 8);
  slit(EYES[1], 76, 96, 44, 8);
  slit(LIPS, 48, 80, 88, gap);
  for (const index of CHEEKS) put(index, 64, 66);
  paint(32, 96, 38, 50, white);
  paint(48, 80, 80, 96, mouth);
  const frame = faceFrame(points);
  return teethTone(points, frame, levels, SIZE, skinTone(points, levels, SIZE));
}

const FAIR = { luma: 150, u: 112, v: 150 };
const DARK = { luma: 60, u: 116, v: 145 };
const WHITE = { luma: 160, u: 126, v: 130 };
const LIP = { luma: 80, u: 116, v: 160 };

test('the teeth of a smile keep their photographed colour', () => {
  const yellow = { luma: 170, u: 110, v: 132 };
  assert.deepEqual(face(FAIR, WHITE, 14, yellow), yellow);
});

test('what is dark between the lips is not taken for teeth', () => {
  const teeth = face(FAIR, WHITE, 14, { luma: 40, u: 120, v: 140 });
  assert.deepEqual(teeth, face(FAIR, WHITE, 0, LIP));
});

test('teeth under dark skin are as bright as the white of the eyes says, and darker in dark light', () => {
  const lit = face(DARK, WHITE, 0, LIP);
  const unlit = face(DARK, { ...WHITE, luma: 60 }, 0, LIP);
  assert.ok(lit.luma > unlit.luma + 15, `${lit.luma} in light, ${unlit.luma} in the dark`);
  assert.ok(face(FAIR, WHITE, 0, LIP).luma > lit.luma);
});

test('teeth take some of the light’s colour from the skin, and none in a grey picture', () => {
  const teeth = face(FAIR, WHITE, 0, LIP);
  assert.ok(teeth.u < 128 && teeth.u > FAIR.u && teeth.v > 128 && teeth.v < FAIR.v);
  const grey = { u: 128, v: 128 };
  const { u, v } = face({ ...FAIR, ...grey }, { ...WHITE, ...grey }, 0, { ...LIP, ...grey });
  assert.deepEqual([u, v], [128, 128]);
});
