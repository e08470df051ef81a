import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findLoop, loopFrames, thumbnail } from './seamless-loop.js';

const bounds = { minFrames: 15, maxFrames: 40, blendFrames: 4 };
/** Frames of one byte that go up and down in 25 frames, after a beginning of other frames. */
const wave = (at: number): number => 100 + Math.round(50 * Math.sin((2 * Math.PI * at) / 25));
const frames = Array.from({ length: 80 }, (_, at) => Uint8Array.of(at < 10 ? 240 - 3 * at : wave(at)));

test('the loop is as long as the motion, and does not use the frames that never come again', () => {
  const { start, length, seam } = findLoop(frames, bounds);
  assert.equal(length, 25);
  assert.ok(start - bounds.blendFrames >= 10, `it begins at ${start}`);
  assert.equal(seam, 0);
  assert.throws(() => findLoop(frames.slice(0, 18), bounds), /18 frames are too few/);
});

test('the end turns into the beginning step by step, and the rest is as recorded', () => {
  const ramp = Array.from({ length: 30 }, (_, at) => Uint8Array.of(5 * at, 200));
  const loop = loopFrames(ramp, { start: 8, length: 20, seam: 0 }, 4);
  assert.equal(loop.length, 20);
  assert.deepEqual(
    loop.slice(0, 16).map(([value]) => value),
    ramp.slice(8, 24).map(([value]) => value),
  );
  const end = loop.slice(16).map(([value]) => value);
  assert.deepEqual(end, [100, 85, 70, 55]);
  assert.ok(loop.every(([, still]) => still === 200));
});

test('a thumbnail has the mean of every block of luma, and nothing of the colour', () => {
  const [width, height] = [20, 16];
  const i420 = new Uint8Array((width * height * 3) / 2).fill(255, width * height);
  for (let y = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1) i420[y * width + x] = x < 8 ? 10 + (y % 2) * 20 : 90;
  assert.deepEqual([...thumbnail(i420, width, height, 8)], [20, 90, 20, 90]);
});
