import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../seeded-random.js';
import { median } from '../statistics.js';
import { type SentSignals, skewWindows } from './skew.js';

const FPS = 25;
const HOPS = 8;

/** Ten seconds of a signal that never repeats. */
function sent(): SentSignals {
  const random = seededRandom(7);
  const openings = Array.from({ length: 10 * FPS }, () => random());
  const loudness = openings.flatMap((opening) => new Array<number>(HOPS).fill(opening / 4));
  return { fps: FPS, openings, loudness, hops: HOPS };
}

/** What a browser shows and plays of it, from frame 20 on. */
function played(signals: SentSignals, pictureMs: number, soundMs: number) {
  const from = 20;
  const shown = signals.openings
    .map((value, frame) => ({ atMs: 5000 + pictureMs + frame * (1000 / FPS), value }))
    .slice(from);
  const hopMs = 1000 / FPS / HOPS;
  const heard = signals.loudness
    .map((value, hop) => ({ atMs: 5000 + soundMs + hop * hopMs, value }))
    .slice(from * HOPS);
  return { shown, heard };
}

for (const [pictureMs, soundMs] of [
  [30, 140],
  [140, 30],
  [80, 80],
] as const)
  test(`a picture after ${pictureMs} ms and its sound after ${soundMs} ms are ${soundMs - pictureMs} ms apart`, () => {
    const signals = sent();
    const { shown, heard } = played(signals, pictureMs, soundMs);
    const windows = skewWindows(signals, shown, heard);
    assert.ok(windows.length > 10, `${windows.length} windows`);
    for (const { skewMs, frame } of windows)
      assert.ok(Math.abs(skewMs - (soundMs - pictureMs)) < 6, `${skewMs} ms at frame ${frame}`);
  });

test('a picture that stood still is left out, and what follows is found again', () => {
  const signals = sent();
  const { shown, heard } = played(signals, 50, 100);
  // Frozen for 0.8 s, and from then on both are played 0.8 s later.
  const lateMs = 800;
  const late = (atMs: number): number => (atMs < 9000 ? atMs : atMs + lateMs);
  const windows = skewWindows(
    signals,
    shown.map(({ atMs, value }) => ({ atMs: late(atMs), value })),
    heard.map(({ atMs, value }) => ({ atMs: late(atMs), value })),
  );
  const after = windows.filter(({ frame }) => frame > 110);
  assert.ok(after.length > 3, `${after.length} windows after the freeze`);
  assert.ok(Math.abs(median(after.map(({ skewMs }) => skewMs)) - 50) < 6);
});

test('nothing is measured of media that are not those that were sent', () => {
  const signals = sent();
  const random = seededRandom(8);
  const noise = Array.from({ length: 200 }, (_, i) => ({ atMs: 40 * i, value: random() }));
  assert.deepEqual(skewWindows(signals, noise, noise), []);
});
