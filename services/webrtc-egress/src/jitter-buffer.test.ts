import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JitterBuffer } from './jitter-buffer.js';
import { FRAMES_PER_CHUNK, testChunk, testFrame } from './testing/frames.js';

const newBuffer = (capacityChunks = 4, awaitsGaps = () => false) =>
  new JitterBuffer({ epoch: 0, capacityChunks, awaitsGaps });
const verdicts = (buffer: JitterBuffer, frames: ReturnType<typeof testChunk>) =>
  frames.map((frame) => buffer.offer(frame).verdict);
const positionOf = (taken: { frame: { epoch: number; chunk: number; frame: number } } | undefined) =>
  taken && [taken.frame.epoch, taken.frame.chunk, taken.frame.frame];

test('frames are taken in media order, whatever their order of arrival', () => {
  const buffer = newBuffer();
  for (const [chunk, frame] of [
    [0, 2],
    [1, 0],
    [0, 0],
    [0, 1],
  ] as const)
    buffer.offer(testFrame(chunk, frame));
  const order = [1, 2, 3, 4].map(() => positionOf(buffer.take(9)));
  assert.deepEqual(order, [
    [0, 0, 0],
    [0, 0, 1],
    [0, 0, 2],
    [0, 1, 0],
  ]);
  assert.equal(buffer.take(9), undefined);
});

test('duplicates and frames before the last one taken are refused', () => {
  const buffer = newBuffer();
  buffer.offer(testFrame(0, 3));
  assert.equal(buffer.offer(testFrame(0, 3)).verdict, 'duplicate');
  buffer.take(1);
  assert.equal(buffer.offer(testFrame(0, 3)).verdict, 'stale');
  assert.equal(buffer.offer(testFrame(0, 1)).verdict, 'stale');
  assert.equal(buffer.offer(testFrame(0, 4)).verdict, 'accepted');
});

test('frames beyond the capacity in chunks are refused', () => {
  const buffer = newBuffer(2);
  assert.ok(verdicts(buffer, [...testChunk(0), ...testChunk(1)]).every((verdict) => verdict === 'accepted'));
  assert.equal(buffer.offer(testFrame(2, 0)).verdict, 'full');
  assert.equal(buffer.waitingFrames, 2 * FRAMES_PER_CHUNK);
});

test('a gap is waited for while missed frames are republished, and skipped otherwise', () => {
  let republishing = false;
  const buffer = newBuffer(4, () => republishing);
  verdicts(buffer, [testFrame(0, 10), testFrame(0, 11)]);
  assert.deepEqual(
    [positionOf(buffer.take(9)), positionOf(buffer.take(9))],
    [
      [0, 0, 10],
      [0, 0, 11],
    ],
  );
  republishing = true;
  buffer.offer(testFrame(2, 0));
  assert.equal(buffer.take(9), undefined);
  verdicts(buffer, testChunk(1));
  const places = Array.from({ length: FRAMES_PER_CHUNK + 1 }, () => positionOf(buffer.take(99)));
  assert.deepEqual(
    [places[0], places.at(-1)],
    [
      [0, 1, 0],
      [0, 2, 0],
    ],
  );
  buffer.offer(testFrame(3, 4));
  assert.equal(buffer.take(99), undefined);
  republishing = false;
  assert.deepEqual(positionOf(buffer.take(99)), [0, 3, 4]);
});

test('at most maxInFlight frames are in flight', () => {
  const buffer = newBuffer();
  verdicts(buffer, testChunk(0));
  const taken = [buffer.take(2), buffer.take(2), buffer.take(2)];
  assert.equal(taken[2], undefined);
  assert.equal(buffer.played(taken[0]?.serial ?? -1)?.frame, 0);
  assert.deepEqual(positionOf(buffer.take(2)), [0, 0, 2]);
});

test('a flush drops older epochs from its chunk on and keeps earlier chunks', () => {
  const buffer = newBuffer();
  verdicts(buffer, [...testChunk(0), ...testChunk(1), ...testChunk(2)]);
  assert.equal(buffer.flush(1, 1), 2 * FRAMES_PER_CHUNK);
  assert.equal(buffer.waitingFrames, FRAMES_PER_CHUNK);
  assert.equal(buffer.offer(testFrame(1, 0)).verdict, 'stale', 'a late frame of the old epoch');
  assert.equal(buffer.offer(testFrame(1, 0, { epoch: 1 })).verdict, 'accepted');
  assert.equal(buffer.epoch, 1);
});

test('a frame of the old epoch before the flushed chunk is still accepted', () => {
  const buffer = newBuffer();
  buffer.flush(1, 1);
  assert.equal(buffer.offer(testFrame(0, 0)).verdict, 'accepted');
  assert.equal(buffer.offer(testFrame(1, 0)).verdict, 'stale');
});

test('frames of a new epoch may arrive before their flush event', () => {
  const buffer = newBuffer();
  verdicts(buffer, [...testChunk(0), ...testChunk(1)]);
  assert.deepEqual(buffer.offer(testFrame(1, 0, { epoch: 1 })), { verdict: 'accepted', dropped: FRAMES_PER_CHUNK });
  assert.equal(buffer.flush(1, 1), 0, 'the flush event that follows drops nothing');
  assert.equal(buffer.waitingFrames, FRAMES_PER_CHUNK + 1);
});

test('a second flush reaches further back than the first', () => {
  const buffer = newBuffer();
  verdicts(buffer, [...testChunk(3), ...testChunk(4)]);
  buffer.flush(1, 4);
  verdicts(buffer, testChunk(4, { epoch: 1 }));
  assert.equal(buffer.flush(2, 3), 2 * FRAMES_PER_CHUNK);
  assert.equal(buffer.offer(testFrame(3, 0, { epoch: 1 })).verdict, 'stale');
  assert.equal(buffer.offer(testFrame(3, 0, { epoch: 2 })).verdict, 'accepted');
});

test('playout goes back to a chunk that a newer epoch regenerates', () => {
  const buffer = newBuffer();
  verdicts(buffer, testChunk(0));
  for (let frame = 0; frame < 6; frame++) buffer.played(buffer.take(1)?.serial ?? -1);
  buffer.flush(1, 0);
  assert.equal(buffer.offer(testFrame(0, 0, { epoch: 1 })).verdict, 'accepted');
  assert.deepEqual(positionOf(buffer.take(1)), [1, 0, 0]);
});

test('frames that a lost sink had not played wait again', () => {
  const buffer = newBuffer();
  verdicts(buffer, testChunk(0));
  const taken = [buffer.take(3), buffer.take(3), buffer.take(3)];
  buffer.played(taken[0]?.serial ?? -1);
  assert.equal(buffer.restore(), 0);
  assert.equal(buffer.framesInFlight, 0);
  assert.equal(buffer.offer(testFrame(0, 0)).verdict, 'stale', 'a played frame does not wait again');
  assert.deepEqual(positionOf(buffer.take(3)), [0, 0, 1]);
  assert.equal(buffer.played(taken[1]?.serial ?? -1), undefined, 'a report of the lost sink is ignored');
});

test('frames flushed while in flight do not wait again', () => {
  const buffer = newBuffer();
  verdicts(buffer, testChunk(0));
  const [first, second] = [buffer.take(3), buffer.take(3)];
  buffer.flush(1, 0);
  assert.equal(buffer.discarded(first?.serial ?? -1), true);
  assert.equal(buffer.restore(), 1);
  assert.equal(buffer.discarded(second?.serial ?? -1), false);
  assert.equal(buffer.take(3), undefined);
});

test('a held frame shows the previous frame that was not flushed, or black if there is none', () => {
  const buffer = newBuffer();
  const heldFrame = (chunk: number, frame: number, epoch = 0) =>
    testFrame(chunk, frame, { epoch, held: true, i420: new Uint8Array(0) });
  buffer.offer(heldFrame(0, 0));
  assert.equal(buffer.take(9)?.frame.i420[0], 16);
  buffer.offer(testFrame(0, 1));
  const shown = buffer.take(9);
  buffer.offer(heldFrame(0, 2));
  const held = buffer.take(9);
  assert.deepEqual(held?.frame.i420, shown?.frame.i420);
  assert.deepEqual(held?.frame.pcm, testFrame(0, 2).pcm, 'its own audio');
  buffer.played(0);
  buffer.played(1);
  buffer.played(2);
  buffer.offer(testFrame(1, 0));
  buffer.take(9);
  buffer.flush(1, 1);
  buffer.offer(heldFrame(1, 0, 1));
  assert.deepEqual(buffer.take(9)?.frame.i420, shown?.frame.i420);
});

test('after a cut the frames fade to the chunk that follows, so that the pose does not jump', () => {
  const buffer = newBuffer();
  const image = (luma: number) => ({ i420: new Uint8Array(testFrame(0, 0).i420.length).fill(luma) });
  for (let frame = 0; frame < FRAMES_PER_CHUNK; frame++) buffer.offer(testFrame(0, frame, image(100)));
  for (let i = 0; i < 3; i++) buffer.played(buffer.take(9)?.serial ?? -1);
  const inFlight = buffer.take(9);
  buffer.flush(1, 0);
  buffer.discarded(inFlight?.serial ?? -1);
  assert.equal(buffer.take(9), undefined, 'the rest of the chunk is dropped');
  for (let frame = 0; frame < 6; frame++) buffer.offer(testFrame(1, frame, { epoch: 1, ...image(200) }));
  const lumas = Array.from({ length: 6 }, () => buffer.take(9)?.frame.i420[0] ?? 0);
  assert.deepEqual(lumas, [120, 140, 160, 180, 200, 200]);
});

test('frames that follow each other do not fade, also where a chunk was replaced or a frame was held', () => {
  const buffer = newBuffer();
  const image = (luma: number) => ({ i420: new Uint8Array(testFrame(0, 0).i420.length).fill(luma) });
  for (let frame = 0; frame < FRAMES_PER_CHUNK; frame++) buffer.offer(testFrame(0, frame, image(100)));
  for (let frame = 0; frame < FRAMES_PER_CHUNK; frame++) buffer.offer(testFrame(1, frame, { epoch: 1, ...image(200) }));
  const lumas = Array.from({ length: 2 * FRAMES_PER_CHUNK }, () => buffer.take(99)?.frame.i420[0]);
  assert.deepEqual(new Set(lumas), new Set([100, 200]));
});

test('the rest of a chunk that was cut is not waited for while missed frames are republished', () => {
  const buffer = newBuffer(4, () => true);
  buffer.offer(testFrame(0, 0));
  buffer.played(buffer.take(9)?.serial ?? -1);
  buffer.flush(1, 0);
  buffer.offer(testFrame(1, 0, { epoch: 1 }));
  assert.deepEqual(positionOf(buffer.take(9)), [1, 1, 0]);
});

test('of a chunk that a flush replaces the new frames are waited for', () => {
  const buffer = newBuffer(4, () => true);
  for (const frame of testChunk(0)) {
    buffer.offer(frame);
    buffer.played(buffer.take(9)?.serial ?? -1);
  }
  buffer.flush(1, 1);
  buffer.offer(testFrame(2, 0, { epoch: 1 }));
  assert.equal(buffer.take(9), undefined);
  buffer.offer(testFrame(1, 0, { epoch: 1 }));
  assert.deepEqual(positionOf(buffer.take(9)), [1, 1, 0]);
});

test('the silence before a chunk begins after the last speech, in flight or waiting', () => {
  const buffer = newBuffer();
  for (const frame of [...testChunk(2, { turn: 1 }), ...testChunk(3), ...testChunk(4)]) buffer.offer(frame);
  for (let i = 0; i < 4; i++) buffer.take(4);
  assert.equal(buffer.idleBefore(5), 3);
  assert.equal(buffer.idleBefore(3), 3, 'none');
  assert.equal(newBuffer().idleBefore(7), 7);
});

test('an idle chunk that gave way to speech is not waited for while missed frames are republished', () => {
  const buffer = newBuffer(4, () => true);
  for (const frame of testChunk(2)) buffer.offer(frame);
  for (let i = 0; i < FRAMES_PER_CHUNK; i++) buffer.take(FRAMES_PER_CHUNK);
  buffer.offer(testFrame(3, 0));
  buffer.offer(testFrame(4, 0, { epoch: 1, turn: 1, endsIdle: true }));
  buffer.flush(1, buffer.idleBefore(4));
  assert.deepEqual(positionOf(buffer.take(99)), [1, 4, 0]);
});
