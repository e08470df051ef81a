import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { ChunkPlanner, type SessionOptions } from './chunk-planner.js';
import { chunks, FakeClock, geometry, playheadAt, sessionOptions } from './testing/fakes.js';

const NEVER = Number.POSITIVE_INFINITY;
let clock: FakeClock;
beforeEach(() => {
  clock = new FakeClock();
});

const start = (changes: Partial<SessionOptions> = {}): ChunkPlanner =>
  new ChunkPlanner(sessionOptions(changes), geometry, clock);
const readyAtMs = (planner: ChunkPlanner): number => {
  planner.updateGrace();
  return planner.readyAtMs();
};
const isReady = (planner: ChunkPlanner): boolean => readyAtMs(planner) <= clock.nowMs();
const make = (planner: ChunkPlanner, count: number): ReturnType<ChunkPlanner['takeNext']>[] =>
  Array.from({ length: count }, () => {
    assert.ok(isReady(planner));
    return planner.takeNext();
  });

test('a live session generates idle chunks up to its credits and no further', () => {
  const planner = start();
  assert.deepEqual(
    make(planner, 2).map(({ chunk, turn, speaking, deadlineUs }) => [chunk, turn, speaking, deadlineUs]),
    [
      [0, 0, false, 0],
      [1, 0, false, 0],
    ],
  );
  assert.equal(readyAtMs(planner), NEVER);
  planner.onPlayhead(playheadAt(1, 0));
  make(planner, 1);
  assert.equal(readyAtMs(planner), NEVER);
  planner.onPlayhead(playheadAt(1, 4, 100));
  make(planner, 6);
  assert.equal(readyAtMs(planner), NEVER, 'credits are used up to maxLeadChunks');
});

test('deadlines are the time a chunk is due at the egress, once it plays', () => {
  const planner = start();
  planner.onPlayhead(playheadAt(0, 0));
  assert.equal(make(planner, 1)[0]?.deadlineUs, 0, 'no player runs yet');
  planner.onPlayhead(playheadAt(0, 4));
  clock.advance(100);
  const [job] = make(planner, 1);
  assert.equal(job?.deadlineUs, clock.wallUs() + (480 - 160 - 100) * 1000);
});

test('a recording has no idle chunks, no padding inside a turn, no deadlines', () => {
  const planner = start({ unpaced: true });
  assert.equal(readyAtMs(planner), NEVER);
  assert.equal(planner.onSpeech(1, chunks(1), false).flush, undefined);
  clock.advance(60_000);
  assert.equal(readyAtMs(planner), NEVER, 'more of the turn may come, however long it takes');
  planner.onSpeech(1, chunks(0.5), true);
  planner.onPlayhead(playheadAt(0, 5));
  assert.deepEqual(
    make(planner, 2).map(({ chunk, speaking, endOfTurn, deadlineUs }) => [chunk, speaking, endOfTurn, deadlineUs]),
    [
      [0, true, false, 0],
      [1, true, true, 0],
    ],
  );
  planner.onPlayhead(playheadAt(1, 11));
  assert.equal(readyAtMs(planner), NEVER, 'nothing after the turn');
});

test('in the middle of a turn missing speech is waited for during the grace period, then padded', () => {
  const planner = start({ leadChunks: 4 });
  planner.onSpeech(1, chunks(1.25), false);
  make(planner, 1);
  const firstReadyAtMs = readyAtMs(planner);
  assert.equal(firstReadyAtMs, clock.nowMs() + 120);
  clock.advance(60);
  planner.onSpeech(1, chunks(0.25), false);
  assert.equal(readyAtMs(planner), firstReadyAtMs, 'waiting is not prolonged');
  clock.advance(60);
  const [job] = make(planner, 1);
  assert.deepEqual([job?.turn, job?.speaking, job?.endOfTurn], [1, true, false]);
  assert.equal(job?.pcm.filter((sample) => sample !== 0).length, geometry.samplesPerChunk / 2);
  assert.equal(readyAtMs(planner), clock.nowMs() + 120, 'and the next one waits anew');
  planner.onSpeech(1, chunks(1.1), false);
  assert.ok(isReady(planner), 'a chunk that is full waits for nothing');
});

test('missing speech is waited for as long as its chunk can still be made in time', () => {
  const planner = new ChunkPlanner(sessionOptions(), geometry, clock, { canRegenerate: () => true, makeMs: () => 150 });
  planner.onSpeech(1, chunks(2.1), false);
  make(planner, 2);
  planner.onPlayhead(playheadAt(1, 0));
  assert.equal(readyAtMs(planner), clock.nowMs() + 480 - 150, 'chunk 2 is due in 480 ms');
});

test('a turn begins with a full chunk: until then, or until no more of its speech comes, the next chunk is idle', () => {
  const planner = start();
  make(planner, 2);
  planner.onPlayhead(playheadAt(1, 0));
  for (let i = 0; i < 6; i++) {
    planner.onSpeech(1, chunks(1 / 8), false);
    clock.advance(60);
  }
  assert.equal(planner.isNextSpeech, false);
  assert.equal(readyAtMs(planner), clock.nowMs() + 480 - 360 - 80, 'an idle chunk would only be flushed soon');
  assert.deepEqual(planner.onSpeech(1, chunks(3 / 8), false).flush, {
    epoch: 1,
    turn: 1,
    fromChunk: 2,
    cause: 'speech',
  });
  assert.equal(make(planner, 1)[0]?.speechSamples, geometry.samplesPerChunk);

  const stopped = start();
  stopped.onSpeech(1, chunks(0.5), false);
  clock.advance(359);
  assert.equal(stopped.isNextSpeech, false);
  clock.advance(1);
  assert.equal(stopped.isNextSpeech, true, 'no more came for 120 ms after the 240 ms that the speech lasts');
});

test('a turn whose speech stopped for longer than the grace replaces idle chunks too, once its first chunk is full', () => {
  const planner = start();
  make(planner, 2);
  assert.equal(planner.onSpeech(1, chunks(0.5), false).flush, undefined);
  clock.advance(500);
  assert.equal(planner.onSpeech(1, chunks(0.6), false).flush?.fromChunk, 1);
  assert.equal(planner.onSpeech(1, chunks(1), true).flush, undefined, 'once');
});

test('speech that is ahead of its time ends the idle chunk that is played; speech in real time waits for its end', () => {
  const begin = (sendEveryMs: number, pieces: number, isComplete: boolean, idlePlayed = true) => {
    const planner = start();
    make(planner, 2);
    if (idlePlayed) planner.onPlayhead(playheadAt(1, 0));
    for (let i = 1; i <= pieces; i++) {
      clock.advance(sendEveryMs);
      planner.onSpeech(1, chunks(1 / 8), isComplete && i === pieces);
    }
    return make(planner, 1)[0]?.endsIdle;
  };
  assert.equal(begin(15, 9, false), true, 'four times as fast');
  assert.equal(begin(60, 9, false), false, 'in real time');
  assert.equal(begin(60, 4, true), true, 'all of a short turn has arrived');
  assert.equal(begin(15, 9, false, false), false, 'nothing is played yet');
});

test('the first speech of a turn flushes unplayed idle chunks, but not the one being played', () => {
  const planner = start({ leadChunks: 4 });
  make(planner, 4);
  planner.onPlayhead(playheadAt(0, 4, 4));
  const { flush } = planner.onSpeech(6, chunks(1.5), false);
  assert.deepEqual(flush, { epoch: 1, turn: 6, fromChunk: 1, cause: 'speech' });
  const [job] = make(planner, 1);
  assert.deepEqual([job?.chunk, job?.epoch, job?.turn, job?.speaking], [1, 1, 6, true]);
  assert.equal(planner.onSpeech(6, chunks(1), false).flush, undefined, 'only the first');
});

test('a flush leaves idle chunks that cannot be regenerated in time, also the one under way; the epoch is new, so that the player can leave them', () => {
  for (const [inTime, flush] of [
    [[2, 3], { epoch: 1, turn: 5, fromChunk: 2, cause: 'speech' }],
    [[3], { epoch: 1, turn: 5, fromChunk: 3, cause: 'speech' }],
    [[], { epoch: 1, turn: 5, fromChunk: 4, cause: 'speech' }],
  ] as const) {
    const planner = new ChunkPlanner(sessionOptions({ leadChunks: 4 }), geometry, new FakeClock(), {
      canRegenerate: (chunk) => (inTime as readonly number[]).includes(chunk),
      makeMs: () => 0,
    });
    for (let chunk = 0; chunk < 4; chunk++) planner.takeNext();
    planner.onPlayhead(playheadAt(1, 0));
    assert.deepEqual(planner.onSpeech(5, chunks(1), true).flush, flush);
    assert.equal(planner.takeNext().turn, 5, 'the next chunk that is made speaks');
  }
});

test('a flush leaves the chunk that is about to be played', () => {
  for (const [elapsedMs, fromChunk] of [
    [0, 1],
    [230, 1],
    [250, 2],
    [10_000, 2],
  ] as const) {
    const planner = start({ leadChunks: 4 });
    make(planner, 4);
    planner.onPlayhead(playheadAt(0, 4, 4));
    clock.advance(elapsedMs);
    assert.equal(planner.onSpeech(1, chunks(1.1), false).flush?.fromChunk, fromChunk, `${elapsedMs} ms after frame 4`);
  }
});

test('a new turn does not flush the speech of the turn before', () => {
  const planner = start({ leadChunks: 6 });
  planner.onSpeech(1, chunks(2), true);
  make(planner, 4);
  const { flush } = planner.onSpeech(2, chunks(1), true);
  assert.equal(flush?.fromChunk, 2, 'the two idle chunks after turn 1');
  make(planner, 1);
  assert.equal(planner.onSpeech(3, chunks(1), true).flush, undefined);
});

test('without an idle chunk there is no flush', () => {
  const planner = start();
  assert.equal(planner.onSpeech(1, chunks(1.1), false).flush, undefined);
  assert.equal(planner.epoch, 0);
});

test('an interrupt cuts the turn in the chunk that is played and drops its speech', () => {
  const planner = start({ leadChunks: 4 });
  planner.onSpeech(1, chunks(8), false);
  make(planner, 4);
  planner.onPlayhead(playheadAt(1, 6, 4));
  make(planner, 1);
  const { droppedSamples, flush } = planner.onInterrupt(1);
  assert.equal(droppedSamples, 3 * geometry.samplesPerChunk);
  assert.deepEqual(flush, { epoch: 1, turn: 1, fromChunk: 2, cutFrom: 1, cause: 'interrupt' });
  assert.equal(planner.onSpeech(1, chunks(1), false).result, 'stale');
  const [job] = make(planner, 1);
  assert.deepEqual([job?.chunk, job?.epoch, job?.turn, job?.speaking], [2, 1, 0, false]);
});

test('an interrupt does not cut the chunk that is played when it is idle, speaks a newer turn, or is not played yet', () => {
  const idle = start({ leadChunks: 4 });
  make(idle, 4);
  idle.onPlayhead(playheadAt(1, 6, 4));
  assert.deepEqual(idle.onInterrupt(0).flush, { epoch: 1, turn: 0, fromChunk: 2, cause: 'interrupt' });
  const newer = start({ leadChunks: 4 });
  newer.onSpeech(1, chunks(1), true);
  newer.onSpeech(2, chunks(1), true);
  make(newer, 4);
  newer.onPlayhead(playheadAt(1, 6, 4));
  assert.equal(newer.onInterrupt(1).flush?.cutFrom, undefined);
  const waiting = start({ leadChunks: 4 });
  waiting.onSpeech(1, chunks(4), true);
  make(waiting, 3);
  assert.equal(waiting.onInterrupt(1).flush?.cutFrom, undefined);
});

test('a recording is cut between chunks', () => {
  const planner = start({ leadChunks: 4, unpaced: true });
  planner.onSpeech(1, chunks(8), false);
  make(planner, 4);
  planner.onPlayhead(playheadAt(1, 6, 4));
  assert.deepEqual(planner.onInterrupt(1).flush, { epoch: 1, turn: 1, fromChunk: 2, cause: 'interrupt' });
});

test('an interrupt raises the epoch even when no chunk is flushed', () => {
  const planner = start({ epoch: 7 });
  assert.deepEqual(planner.onInterrupt(0).flush, { epoch: 8, turn: 0, fromChunk: 0, cause: 'interrupt' });
});

test('an interrupt that arrives after the next turn began does not cut the next turn', () => {
  const planner = start({ leadChunks: 4 });
  planner.onSpeech(1, chunks(0.5), true);
  planner.onSpeech(2, chunks(2), false);
  make(planner, 2);
  const { droppedSamples, flush } = planner.onInterrupt(1);
  assert.deepEqual([droppedSamples, flush], [0, undefined]);
  assert.equal(planner.onSpeech(2, chunks(1), true).result, 'queued');
});

test('an interrupted recording continues after the chunks that its reader has', () => {
  const planner = start({ unpaced: true, leadChunks: 4 });
  planner.onSpeech(1, chunks(9), true);
  make(planner, 4);
  planner.onPlayhead(playheadAt(0, 3, 4));
  assert.equal(planner.onInterrupt(1).flush?.fromChunk, 1);
  assert.equal(readyAtMs(planner), NEVER);
});
