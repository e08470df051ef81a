import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Call, type CallOptions } from './call.js';
import { callOptions, chunks, FakeClock, geometry, playheadAt } from './testing/fakes.js';

const NEVER = Number.POSITIVE_INFINITY;
let clock: FakeClock;
beforeEach(() => {
  clock = new FakeClock();
});

const start = (changes: Partial<CallOptions> = {}): Call => new Call(callOptions(changes), geometry, clock);
const isReady = (call: Call): boolean => call.readyAtMs() <= clock.nowMs();
const make = (call: Call, count: number): ReturnType<Call['begin']>[] =>
  Array.from({ length: count }, () => {
    assert.ok(isReady(call));
    return call.begin();
  });

test('a watched call idles as far as its credits go, and no further', () => {
  const call = start();
  assert.deepEqual(
    make(call, 2).map(({ chunk, turn, speaking, deadlineUs }) => [chunk, turn, speaking, deadlineUs]),
    [
      [0, 0, false, 0],
      [1, 0, false, 0],
    ],
  );
  assert.equal(call.readyAtMs(), NEVER);
  call.onPlayhead(playheadAt(1, 0));
  make(call, 1);
  assert.equal(call.readyAtMs(), NEVER);
  call.onPlayhead(playheadAt(1, 4, 100));
  make(call, 6);
  assert.equal(call.readyAtMs(), NEVER, 'credits are used up to maxLeadChunks');
});

test('deadlines are the time a chunk is due at the egress, once it plays', () => {
  const call = start();
  call.onPlayhead(playheadAt(0, 0));
  assert.equal(make(call, 1)[0]?.deadlineUs, 0, 'nobody watches yet');
  call.onPlayhead(playheadAt(0, 4));
  clock.advance(100);
  const [job] = make(call, 1);
  assert.equal(job?.deadlineUs, clock.wallUs() + (480 - 160 - 100) * 1000);
});

test('a recording has no idle chunks, no padding inside a turn, no deadlines', () => {
  const call = start({ unpaced: true });
  assert.equal(call.readyAtMs(), NEVER);
  assert.equal(call.onSpeech(1, chunks(1), false).flush, undefined);
  clock.advance(60_000);
  assert.equal(call.readyAtMs(), NEVER, 'more of the turn may come, however long it takes');
  call.onSpeech(1, chunks(0.5), true);
  call.onPlayhead(playheadAt(0, 5));
  assert.deepEqual(
    make(call, 2).map(({ chunk, speaking, endOfTurn, deadlineUs }) => [chunk, speaking, endOfTurn, deadlineUs]),
    [
      [0, true, false, 0],
      [1, true, true, 0],
    ],
  );
  call.onPlayhead(playheadAt(1, 11));
  assert.equal(call.readyAtMs(), NEVER, 'nothing after the turn');
});

test('speech that is not here yet is waited for, then padded', () => {
  const call = start();
  call.onSpeech(1, chunks(0.25), false);
  const readyAtMs = call.readyAtMs();
  assert.equal(readyAtMs, clock.nowMs() + 120);
  clock.advance(60);
  call.onSpeech(1, chunks(0.25), false);
  assert.equal(call.readyAtMs(), readyAtMs, 'waiting is not prolonged');
  clock.advance(60);
  const [job] = make(call, 1);
  assert.deepEqual([job?.turn, job?.speaking, job?.endOfTurn], [1, true, false]);
  assert.equal(job?.pcm.filter((sample) => sample !== 0).length, geometry.samplesPerChunk / 2);
  assert.equal(call.readyAtMs(), clock.nowMs() + 120, 'and the next one waits anew');
  call.onSpeech(1, chunks(1.1), false);
  assert.ok(isReady(call), 'a chunk that is full waits for nothing');
});

test('the first speech of a turn flushes idle chunks that wait, but not what is being played', () => {
  const call = start({ leadChunks: 4 });
  make(call, 4);
  call.onPlayhead(playheadAt(0, 4, 4));
  const { flush } = call.onSpeech(6, chunks(1.5), false);
  assert.deepEqual(flush, { epoch: 1, turn: 6, fromChunk: 1, cause: 'speech' });
  const [job] = make(call, 1);
  assert.deepEqual([job?.chunk, job?.epoch, job?.turn, job?.speaking], [1, 1, 6, true]);
  assert.equal(call.onSpeech(6, chunks(1), false).flush, undefined, 'only the first');
});

test('a flush leaves idle chunks that could not be made again in time, also the one under way', () => {
  for (const [inTime, flush] of [
    [[2, 3], { epoch: 1, turn: 5, fromChunk: 2, cause: 'speech' }],
    [[3], { epoch: 1, turn: 5, fromChunk: 3, cause: 'speech' }],
    [[], undefined],
  ] as const) {
    const call = new Call(callOptions({ leadChunks: 4 }), geometry, new FakeClock());
    call.canRemake = (chunk) => (inTime as readonly number[]).includes(chunk);
    for (let chunk = 0; chunk < 4; chunk++) call.begin();
    call.onPlayhead(playheadAt(1, 0));
    assert.deepEqual(call.onSpeech(5, chunks(1), true).flush, flush);
    assert.equal(call.begin().turn, 5, 'the next chunk that is made speaks');
  }
});

test('a flush leaves the chunk that is about to be played', () => {
  for (const [elapsedMs, fromChunk] of [
    [0, 1],
    [230, 1],
    [250, 2],
    [10_000, 2],
  ] as const) {
    const call = start({ leadChunks: 4 });
    make(call, 4);
    call.onPlayhead(playheadAt(0, 4, 4));
    clock.advance(elapsedMs);
    assert.equal(call.onSpeech(1, chunks(1), false).flush?.fromChunk, fromChunk, `${elapsedMs} ms after frame 4`);
  }
});

test('a new turn does not flush the speech of the turn before', () => {
  const call = start({ leadChunks: 6 });
  call.onSpeech(1, chunks(2), true);
  make(call, 4);
  const { flush } = call.onSpeech(2, chunks(1), true);
  assert.equal(flush?.fromChunk, 2, 'the two idle chunks after turn 1');
  make(call, 1);
  assert.equal(call.onSpeech(3, chunks(1), true).flush, undefined);
});

test('no idle chunk waits: no flush', () => {
  const call = start();
  assert.equal(call.onSpeech(1, chunks(1), false).flush, undefined);
  assert.equal(call.epoch, 0);
});

test('an interrupt cuts the turn where the egress is and forgets its speech', () => {
  const call = start({ leadChunks: 4 });
  call.onSpeech(1, chunks(8), false);
  make(call, 4);
  call.onPlayhead(playheadAt(1, 6, 4));
  make(call, 1);
  const { droppedSamples, flush } = call.onInterrupt(1);
  assert.equal(droppedSamples, 3 * geometry.samplesPerChunk);
  assert.deepEqual(flush, { epoch: 1, turn: 1, fromChunk: 2, cause: 'interrupt' });
  assert.equal(call.onSpeech(1, chunks(1), false).result, 'stale');
  const [job] = make(call, 1);
  assert.deepEqual([job?.chunk, job?.epoch, job?.turn, job?.speaking], [2, 1, 0, false]);
});

test('an interrupt raises the epoch also when nothing is left to forget', () => {
  const call = start({ epoch: 7 });
  assert.deepEqual(call.onInterrupt(0).flush, { epoch: 8, turn: 0, fromChunk: 0, cause: 'interrupt' });
});

test('an interrupt that comes after the next turn began does not cut that one', () => {
  const call = start({ leadChunks: 4 });
  call.onSpeech(1, chunks(0.5), true);
  call.onSpeech(2, chunks(2), false);
  make(call, 2);
  const { droppedSamples, flush } = call.onInterrupt(1);
  assert.deepEqual([droppedSamples, flush], [0, undefined]);
  assert.equal(call.onSpeech(2, chunks(1), true).result, 'queued');
});

test('an interrupted recording goes on after what its reader has', () => {
  const call = start({ unpaced: true, leadChunks: 4 });
  call.onSpeech(1, chunks(9), true);
  make(call, 4);
  call.onPlayhead(playheadAt(0, 3, 4));
  assert.equal(call.onInterrupt(1).flush?.fromChunk, 1);
  assert.equal(call.readyAtMs(), NEVER);
});
