import assert from 'node:assert/strict';
import { test } from 'node:test';
import { firstUnplayedChunk, PlayheadPosition } from './playhead-position.js';
import { FakeClock, playheadAt } from './testing/fakes.js';

/** Chunks of 7 latent frames: 28 video frames at 25 a second. */
const SEVEN_FRAMES_MS = 1120;

test('a chunk of seven latent frames is extrapolated over its own length, not over that of three', () => {
  const at = { chunk: 2, mediaTimeUs: 2 * SEVEN_FRAMES_MS * 1000 + 300_000 };
  const first = (ageMs: number): number => firstUnplayedChunk(at, { chunkMs: SEVEN_FRAMES_MS, ageMs, marginMs: 80 });
  assert.equal(first(0), 3);
  assert.equal(first(739), 3, 'chunk 3 begins in 81 ms');
  assert.equal(first(740), 4, 'chunk 3 begins within the margin');
  assert.equal(first(60_000), 4, 'no more than one chunk is extrapolated');
});

test('a live session and a takeover agree on the first unplayed chunk, also with chunks of seven latent frames', () => {
  const clock = new FakeClock();
  const chunkUs = SEVEN_FRAMES_MS * 1000;
  const position = new PlayheadPosition({ clock, chunkUs, paced: true, creditChunks: 4 });
  const playhead = { ...playheadAt(0, 0), chunk: 5, mediaTimeUs: 5 * chunkUs + 200_000 };
  position.update(playhead, 8);
  for (const ageMs of [0, 400, 440, 400, 1000]) {
    clock.advance(ageMs);
    const options = { chunkMs: SEVEN_FRAMES_MS, ageMs: clock.nowMs() - 5000, marginMs: 80 };
    assert.equal(position.firstUnplayed(80), firstUnplayedChunk(playhead, options));
  }
});

test('a player at media time 0 has not started: the chunk after its own is unplayed, however old the playhead is', () => {
  assert.equal(firstUnplayedChunk({ chunk: 0, mediaTimeUs: 0 }, { chunkMs: 480, ageMs: 5000, marginMs: 80 }), 1);
});
