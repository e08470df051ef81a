import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resizePicture } from '../model/resize-picture.js';
import { enlargeEdits } from './enlarge-edits.js';
import { type Levels, toLevels } from './levels.js';

const [OWN, SCALE, FRAMES] = [64, 2, 2];
const SIZE = OWN * SCALE;
/** A patch of chroma pixels, in the middle of the picture. */
const PATCH = { left: 8, top: 10, height: 12, width: 14 };

/** Levels of a picture of stripes that only the larger one shows. */
const flat = (level: number, size: number, stripes = 0): Levels => ({
  luma: Float32Array.from({ length: size * size }, (_, i) => level + (i % 2 === 0 ? stripes : -stripes)),
  chroma: new Float32Array((size * size) / 2).fill(128),
});

function enlarged(own: Levels, larger: Levels, change: (row: number, column: number) => number): Float32Array {
  const { height, width, left, top } = PATCH;
  const area = height * width;
  const values = new Float32Array(FRAMES * 6 * area);
  for (let frame = 0; frame < FRAMES; frame++)
    for (let phase = 0; phase < 4; phase++)
      for (let i = 0; i < area; i++)
        values[(frame * 6 + phase) * area + i] = change(
          2 * Math.floor(i / width) + (phase >> 1),
          2 * (i % width) + (phase & 1),
        );
  const corners = Float32Array.of(left, top);
  const edits = [{ values, height, width }];
  const [edit] = enlargeEdits({ scale: SCALE, size: SIZE, own, larger, frames: FRAMES, edits, corners });
  assert.deepEqual([edit?.height, edit?.width], [height * SCALE, width * SCALE]);
  return edit?.values ?? new Float32Array(0);
}

/** Luma of the last frame of an edit, [2 h, 2 w] of the larger picture. */
function lumaOf(values: Float32Array): (row: number, column: number) => number {
  const [h, w] = [PATCH.height * SCALE, PATCH.width * SCALE];
  const from = (FRAMES - 1) * 6 * h * w;
  return (row, column) =>
    values[from + ((row & 1) * 2 + (column & 1)) * h * w + (row >> 1) * w + (column >> 1)] as number;
}

test('an edit that changes nothing changes nothing of the larger picture', () => {
  assert.ok(enlarged(flat(100, OWN), flat(100, SIZE, 20), () => 0).every((value) => Math.abs(value) < 1e-4));
});

test('a small change is added to the detail of the larger picture, a large one takes its place', () => {
  const [own, larger] = [flat(100, OWN), flat(100, SIZE, 20)];
  const [small, large] = [3, 80].map((level) => lumaOf(enlarged(own, larger, () => level)));
  for (const column of [20, 21]) {
    const stripe = column % 2 === 0 ? 20 : -20;
    assert.ok(Math.abs((small?.(20, column) ?? 0) - 3) < 1e-3, 'the stripe stays');
    assert.ok(Math.abs((large?.(20, column) ?? 0) - (80 - stripe)) < 1e-3, 'the picture is 180 without a stripe');
  }
});

test('an edge of an edit stays as steep as it is, and hardly overshoots', () => {
  const luma = lumaOf(enlarged(flat(100, OWN), flat(100, SIZE), (_, column) => (column < 14 ? 0 : 100)));
  const row = Array.from({ length: 2 * PATCH.width * SCALE }, (_, column) => luma(20, column));
  const [least, most] = [Math.min(...row), Math.max(...row)];
  assert.ok(least >= -5 && most <= 100.001, `from ${least} to ${most}`);
  assert.ok(row.filter((value) => value > 5 && value < 95).length <= 4, 'the edge is two small pixels wide');
});

test('pictures are reduced by means and enlarged without moving', () => {
  const rgb = Uint8Array.from({ length: 4 * 4 * 3 }, (_, i) => 60 * (Math.floor(i / 3) % 4));
  const image = { width: 4, height: 4, rgb };
  assert.equal(resizePicture([image], 4, 4), rgb);
  assert.deepEqual([...resizePicture([image], 2, 2)].slice(0, 6), [30, 30, 30, 150, 150, 150]);
  const large = resizePicture([image], 8, 8);
  assert.deepEqual([...large.filter((_, i) => i % 3 === 0)].slice(0, 8), [0, 15, 45, 75, 105, 135, 165, 180]);
  assert.deepEqual(
    resizePicture([image, { width: 8, height: 8, rgb: large }], 8, 8),
    large,
    'the one that has the size',
  );
  assert.deepEqual([...toLevels(Uint8Array.of(...Array(12).fill(255)), 2).luma].map(Math.round), [235, 235, 235, 235]);
});
