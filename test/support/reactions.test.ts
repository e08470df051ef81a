import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fallsAfter, mouthLevel, passagesOf, risesAfter } from './reactions.js';

/** 1 in [1000, 2000) and [2100, 3000), and one blip at 5000; a sample every 10 ms. */
const samples = Array.from({ length: 600 }, (_, i) => {
  const atMs = 10 * i;
  const isLoud = (atMs >= 1000 && atMs < 2000) || (atMs >= 2100 && atMs < 3000) || atMs === 5000;
  return { atMs, value: isLoud ? 1 : 0 };
});

test('passages join short interruptions and leave out blips', () => {
  assert.deepEqual(passagesOf(samples, 0.5, { pauseMs: 300, leastMs: 100 }), [{ startMs: 1000, endMs: 2990 }]);
  assert.deepEqual(passagesOf(samples, 0.5, { pauseMs: 50, leastMs: 0 }), [
    { startMs: 1000, endMs: 1990 },
    { startMs: 2100, endMs: 2990 },
    { startMs: 5000, endMs: 5000 },
  ]);
});

test('the first rise within a time, and the end of a passage', () => {
  assert.equal(risesAfter(samples, 0.5, 400, 4000), 600);
  assert.equal(risesAfter(samples, 0.5, 3000, 4000), undefined);
  assert.equal(fallsAfter(samples, 0.5, 1500), 1490, 'a short interruption does not end it');
  assert.equal(fallsAfter(samples, 0.5, 3000), 0);
});

test('the level of a mouth lies between closed and open', () => {
  const shown = [...new Array(50).fill(0.1), ...new Array(50).fill(0.5)].map((value, i) => ({ atMs: i, value }));
  assert.ok(Math.abs(mouthLevel(shown) - 0.2) < 1e-9);
});
