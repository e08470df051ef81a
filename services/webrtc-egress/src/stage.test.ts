import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrameStage } from './stage.js';
import { FRAMES_PER_CHUNK, testChunk, testFrame } from './testing/frames.js';

const newStage = (capacityChunks = 4) => new FrameStage({ epoch: 0, capacityChunks });
const verdicts = (stage: FrameStage, frames: ReturnType<typeof testChunk>) =>
  frames.map((frame) => stage.offer(frame).verdict);
const place = (taken: { frame: { epoch: number; chunk: number; frame: number } } | undefined) =>
  taken && [taken.frame.epoch, taken.frame.chunk, taken.frame.frame];

test('frames leave in media order however they came', () => {
  const stage = newStage();
  for (const [chunk, frame] of [
    [0, 2],
    [1, 0],
    [0, 0],
    [0, 1],
  ] as const)
    stage.offer(testFrame(chunk, frame));
  const order = [1, 2, 3, 4].map(() => place(stage.take(9)));
  assert.deepEqual(order, [
    [0, 0, 0],
    [0, 0, 1],
    [0, 0, 2],
    [0, 1, 0],
  ]);
  assert.equal(stage.take(9), undefined);
});

test('what was handed over or is there already is refused', () => {
  const stage = newStage();
  stage.offer(testFrame(0, 3));
  assert.equal(stage.offer(testFrame(0, 3)).verdict, 'duplicate');
  stage.take(1);
  assert.equal(stage.offer(testFrame(0, 3)).verdict, 'stale');
  assert.equal(stage.offer(testFrame(0, 1)).verdict, 'stale');
  assert.equal(stage.offer(testFrame(0, 4)).verdict, 'accepted');
});

test('the buffer is bounded in chunks and refuses what is beyond', () => {
  const stage = newStage(2);
  assert.ok(verdicts(stage, [...testChunk(0), ...testChunk(1)]).every((verdict) => verdict === 'accepted'));
  assert.equal(stage.offer(testFrame(2, 0)).verdict, 'full');
  assert.equal(stage.waiting, 2 * FRAMES_PER_CHUNK);
});

test('a gap is waited for while missed frames are made again, and played over otherwise', () => {
  const stage = newStage();
  verdicts(stage, [testFrame(0, 10), testFrame(0, 11)]);
  assert.deepEqual(
    [place(stage.take(9)), place(stage.take(9))],
    [
      [0, 0, 10],
      [0, 0, 11],
    ],
  );
  stage.expectsMissed = true;
  stage.offer(testFrame(2, 0));
  assert.equal(stage.take(9), undefined);
  verdicts(stage, testChunk(1));
  const places = Array.from({ length: FRAMES_PER_CHUNK + 1 }, () => place(stage.take(99)));
  assert.deepEqual(
    [places[0], places.at(-1)],
    [
      [0, 1, 0],
      [0, 2, 0],
    ],
  );
  stage.offer(testFrame(3, 4));
  assert.equal(stage.take(99), undefined);
  stage.expectsMissed = false;
  assert.deepEqual(place(stage.take(99)), [0, 3, 4]);
});

test('no more than maxInFlight frames are with the sink', () => {
  const stage = newStage();
  verdicts(stage, testChunk(0));
  const taken = [stage.take(2), stage.take(2), stage.take(2)];
  assert.equal(taken[2], undefined);
  assert.equal(stage.played(taken[0]?.serial ?? -1)?.frame, 0);
  assert.deepEqual(place(stage.take(2)), [0, 0, 2]);
});

test('a flush forgets older epochs from its chunk on, and keeps what comes before', () => {
  const stage = newStage();
  verdicts(stage, [...testChunk(0), ...testChunk(1), ...testChunk(2)]);
  assert.equal(stage.flush(1, 1), 2 * FRAMES_PER_CHUNK);
  assert.equal(stage.waiting, FRAMES_PER_CHUNK);
  assert.equal(stage.offer(testFrame(1, 0)).verdict, 'stale', 'a straggler of the old epoch');
  assert.equal(stage.offer(testFrame(1, 0, { epoch: 1 })).verdict, 'accepted');
  assert.equal(stage.epoch, 1);
});

test('a frame of the old epoch before the flushed chunk still counts', () => {
  const stage = newStage();
  stage.flush(1, 1);
  assert.equal(stage.offer(testFrame(0, 0)).verdict, 'accepted');
  assert.equal(stage.offer(testFrame(1, 0)).verdict, 'stale');
});

test('frames of a new epoch may come before their flush event', () => {
  const stage = newStage();
  verdicts(stage, [...testChunk(0), ...testChunk(1)]);
  assert.deepEqual(stage.offer(testFrame(1, 0, { epoch: 1 })), { verdict: 'accepted', dropped: FRAMES_PER_CHUNK });
  assert.equal(stage.flush(1, 1), 0, 'the event that follows changes nothing');
  assert.equal(stage.waiting, FRAMES_PER_CHUNK + 1);
});

test('a second flush reaches further back than the first', () => {
  const stage = newStage();
  verdicts(stage, [...testChunk(3), ...testChunk(4)]);
  stage.flush(1, 4);
  verdicts(stage, testChunk(4, { epoch: 1 }));
  assert.equal(stage.flush(2, 3), 2 * FRAMES_PER_CHUNK);
  assert.equal(stage.offer(testFrame(3, 0, { epoch: 1 })).verdict, 'stale');
  assert.equal(stage.offer(testFrame(3, 0, { epoch: 2 })).verdict, 'accepted');
});

test('playing goes back to a chunk that a newer epoch says again', () => {
  const stage = newStage();
  verdicts(stage, testChunk(0));
  for (let frame = 0; frame < 6; frame++) stage.played(stage.take(1)?.serial ?? -1);
  stage.flush(1, 0);
  assert.equal(stage.offer(testFrame(0, 0, { epoch: 1 })).verdict, 'accepted');
  assert.deepEqual(place(stage.take(1)), [1, 0, 0]);
});

test('a lost sink gives back what it had not played', () => {
  const stage = newStage();
  verdicts(stage, testChunk(0));
  const taken = [stage.take(3), stage.take(3), stage.take(3)];
  stage.played(taken[0]?.serial ?? -1);
  assert.equal(stage.restore(), 0);
  assert.equal(stage.inFlight, 0);
  assert.equal(stage.offer(testFrame(0, 0)).verdict, 'stale', 'the played one does not come again');
  assert.deepEqual(place(stage.take(3)), [0, 0, 1]);
  assert.equal(stage.played(taken[1]?.serial ?? -1), undefined, 'a report of the lost sink is ignored');
});

test('what was flushed while the sink held it does not come back', () => {
  const stage = newStage();
  verdicts(stage, testChunk(0));
  const [first, second] = [stage.take(3), stage.take(3)];
  stage.flush(1, 0);
  assert.equal(stage.discarded(first?.serial ?? -1), true);
  assert.equal(stage.restore(), 1);
  assert.equal(stage.discarded(second?.serial ?? -1), false);
  assert.equal(stage.take(3), undefined);
});

test('a held frame shows the picture before it, never one that was flushed, and black where there was none', () => {
  const stage = new FrameStage({ epoch: 0, capacityChunks: 4 });
  const heldFrame = (chunk: number, frame: number, epoch = 0) =>
    testFrame(chunk, frame, { epoch, held: true, i420: new Uint8Array(0) });
  stage.offer(heldFrame(0, 0));
  assert.equal(stage.take(9)?.frame.i420[0], 16);
  stage.offer(testFrame(0, 1));
  const shown = stage.take(9);
  stage.offer(heldFrame(0, 2));
  const held = stage.take(9);
  assert.deepEqual(held?.frame.i420, shown?.frame.i420);
  assert.deepEqual(held?.frame.pcm, testFrame(0, 2).pcm, 'its own sound');
  stage.played(0);
  stage.played(1);
  stage.played(2);
  stage.offer(testFrame(1, 0));
  stage.take(9);
  stage.flush(1, 1);
  stage.offer(heldFrame(1, 0, 1));
  assert.deepEqual(stage.take(9)?.frame.i420, shown?.frame.i420);
});
