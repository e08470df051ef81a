import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Playhead } from './playhead.js';
import { testChunk, testFrame } from './testing/frames.js';

const newPlayhead = () => new Playhead({ sessionId: '0'.repeat(20), epoch: 0, creditChunks: 2 });
/** A frame that ends after `ms` of its turn's speech. */
const spoken = (chunk: number, frame: number, turn: number, ms: number) =>
  testFrame(chunk, frame, { turn, speaking: true, turnSamples: ms * 24 });

test('the first playhead is at position zero and grants credit', () => {
  const { chunk, frame, mediaTimeUs, creditChunks, heldFrames, turnPlayedMs } = newPlayhead().current();
  assert.deepEqual([chunk, frame, mediaTimeUs, creditChunks, heldFrames, turnPlayedMs], [0, 0, 0, 2, 0, 0]);
});

test('idle, a message is due every fourth frame and at the first frame of a chunk', () => {
  const playhead = newPlayhead();
  const messages = [...testChunk(0), ...testChunk(1)].flatMap((frame) => playhead.played(frame) ?? []);
  const positions = messages.map(({ chunk, frame }) => [chunk, frame]);
  assert.deepEqual(positions, [
    [0, 3],
    [0, 7],
    [0, 11],
    [1, 0],
    [1, 4],
    [1, 8],
  ]);
  assert.equal(messages.at(-1)?.mediaTimeUs, 20 * 40_000);
  assert.equal(playhead.playedFrames, 24);
});

test('the played time of a turn is its position in the speech, which padding does not change', () => {
  const playhead = newPlayhead();
  for (let frame = 0; frame < 12; frame++) playhead.played(spoken(0, frame, 3, Math.min(270, (frame + 1) * 40)));
  assert.equal(playhead.current().turn, 3);
  assert.equal(playhead.current().turnPlayedMs, 270);
});

test('every frame of speech is reported at once, because it may be the last that is heard', () => {
  const playhead = newPlayhead();
  for (let frame = 0; frame < 6; frame++) {
    const message = playhead.played(spoken(0, frame, 1, (frame + 1) * 40));
    assert.deepEqual([message?.turn, message?.turnPlayedMs, message?.frame], [1, (frame + 1) * 40, frame]);
  }
  assert.equal(playhead.played(testFrame(0, 6)), undefined);
  assert.deepEqual([playhead.current().turn, playhead.current().turnPlayedMs], [0, 0]);
});

test('the played time of a turn continues after an underrun', () => {
  const playhead = newPlayhead();
  playhead.played(spoken(0, 0, 1, 40));
  playhead.played(testFrame(1, 0));
  assert.deepEqual([playhead.current().turn, playhead.current().turnPlayedMs], [0, 0]);
  playhead.played(spoken(2, 0, 1, 80));
  assert.equal(playhead.current().turnPlayedMs, 80);
});

test('held frames are counted and do not move the playhead', () => {
  const playhead = newPlayhead();
  playhead.played(testFrame(0, 0));
  const held = playhead.held(2);
  assert.deepEqual([held.heldFrames, held.chunk, held.frame], [2, 0, 0]);
});
