import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { SPEECH_RATE_HZ } from '@talkmesh/contracts';
import { ChunkPlanner, type SessionOptions } from './chunk-planner.js';
import { chunks, FakeClock, geometry, playheadAt, sessionOptions } from './testing/fakes.js';
import { PlayedSession } from './testing/played-session.js';

const NEVER = Number.POSITIVE_INFINITY;
const CHUNK_MS = geometry.chunkMs;
const { samplesPerChunk } = geometry;
let clock: FakeClock;
beforeEach(() => {
  clock = new FakeClock();
});

const start = (changes: Partial<SessionOptions> = {}): ChunkPlanner =>
  new ChunkPlanner(sessionOptions({ leadChunks: 4, ...changes }), geometry, clock);
const make = (call: ChunkPlanner, count: number): ReturnType<ChunkPlanner['takeNext']>[] =>
  Array.from({ length: count }, () => {
    call.updateGrace();
    assert.ok(call.readyAtMs() <= clock.nowMs());
    return call.takeNext();
  });
/** Speech whose samples are 1, 2, 3 ... */
const counted = (count: number, from = 0): Int16Array => Int16Array.from({ length: count }, (_, i) => from + i + 1);

test('a pause cuts the chunk that is played; a resume continues with the first sample that was not heard', () => {
  const heardSamples = 5 * geometry.samplesPerFrame;
  const call = start();
  call.onSpeech(1, counted(2.5 * samplesPerChunk), true);
  make(call, 3);
  call.onPlayhead(playheadAt(0, 4, 4));
  assert.deepEqual(call.onPause('command'), {
    change: { type: 'paused', turn: 1, heardMs: 200, cause: 'command' },
    flush: { epoch: 1, turn: 1, fromChunk: 1, cutFrom: 0, cause: 'pause' },
  });
  assert.ok(call.isPaused && !call.isNextSpeech);
  const idle = make(call, 3);
  for (const [i, { chunk, epoch, turn, speaking, pcm, endOfTurn, turnSamples, closedTurn }] of idle.entries()) {
    assert.deepEqual([chunk, epoch, turn, speaking, endOfTurn], [1 + i, 1, 0, false, false]);
    assert.ok(pcm.every((sample) => sample === 0));
    assert.deepEqual([turnSamples, closedTurn], [heardSamples, 0], 'the position, for a worker that takes over');
  }
  clock.advance(400);
  call.onPlayhead({ ...playheadAt(1, 2, 4), epoch: 1 });
  assert.deepEqual(call.onResume('command'), {
    change: { type: 'resumed', turn: 1, heardMs: 200, cause: 'command', pausedMs: 400 },
    flush: { epoch: 2, turn: 1, fromChunk: 2, cause: 'resume' },
  });
  const after = make(call, 3);
  assert.deepEqual(
    after.map(({ chunk, epoch, turn, endOfTurn }) => [chunk, epoch, turn, endOfTurn]),
    [
      [2, 2, 1, false],
      [3, 2, 1, false],
      [4, 2, 1, true],
    ],
  );
  assert.deepEqual(
    after.map(({ fromSample }) => fromSample),
    [heardSamples, heardSamples + samplesPerChunk, heardSamples + 2 * samplesPerChunk],
  );
  assert.equal(after[0]?.pcm[0], heardSamples + 1);
});

test('the player played on until the flush reached it: that part is not repeated', () => {
  const call = start();
  call.onSpeech(1, counted(4 * samplesPerChunk), true);
  make(call, 3);
  call.onPlayhead(playheadAt(0, 4, 4));
  call.onPause('command');
  call.onPlayhead(playheadAt(0, 6, 4));
  make(call, 1);
  call.onPlayhead({ ...playheadAt(1, 0, 4), epoch: 1 });
  const resumed = call.onResume('command')?.change;
  assert.equal(resumed?.heardMs, 7 * 40);
  assert.equal(make(call, 1)[0]?.pcm[0], 7 * geometry.samplesPerFrame + 1);
});

test('a second pause takes nothing back of the chunk that the first one cut', () => {
  const call = start();
  call.onSpeech(1, counted(4 * samplesPerChunk), true);
  make(call, 3);
  call.onPlayhead(playheadAt(0, 4, 4));
  call.onPause('command');
  call.onResume('command');
  make(call, 1);
  const again = call.onPause('command');
  assert.deepEqual([again?.change.heardMs, again?.flush?.fromChunk, again?.flush?.cutFrom], [200, 1, undefined]);
  call.onResume('command');
  assert.equal(make(call, 1)[0]?.pcm[0], 5 * geometry.samplesPerFrame + 1);
});

test('pause and resume are idempotent', () => {
  const call = start();
  call.onSpeech(1, chunks(4), false);
  make(call, 3);
  assert.equal(call.onResume('command'), undefined);
  call.onPause('command');
  const { epoch } = call;
  assert.equal(call.onPause('command'), undefined);
  call.onResume('command');
  assert.equal(call.onResume('command'), undefined);
  assert.equal(call.epoch, epoch, 'no idle chunk waited');
});

test('a pause goes on when another cause replaces its own, and tells why it ends', () => {
  const call = start();
  call.onSpeech(1, chunks(4), false);
  make(call, 3);
  assert.ok(call.onPause('user-speech')?.flush);
  const { epoch } = call;
  assert.equal(call.onPause('user-speech'), undefined);
  const changed = call.onPause('command');
  assert.ok(changed?.change.type === 'paused' && changed.change.cause === 'command');
  assert.equal(changed.flush, undefined);
  assert.equal(call.epoch, epoch);
  const resumed = call.onResume('back-channel')?.change;
  assert.ok(resumed?.type === 'resumed' && resumed.cause === 'back-channel');
});

test('a pause in silence takes nothing back; speech waits for the resume, then it is in the very next chunk', () => {
  const call = start();
  make(call, 4);
  call.onPlayhead(playheadAt(0, 2, 5));
  assert.deepEqual(call.onPause('command'), { change: { type: 'paused', turn: 0, heardMs: 0, cause: 'command' } });
  assert.equal(call.onSpeech(3, chunks(1), true).flush, undefined);
  assert.equal(make(call, 1)[0]?.turn, 0);
  assert.deepEqual(call.onResume('command')?.flush, { epoch: 1, turn: 3, fromChunk: 1, cause: 'resume' });
  assert.equal(make(call, 1)[0]?.turn, 3);
});

test('a resume without queued speech leaves the idle chunks as they are', () => {
  const call = start();
  call.onPause('command');
  make(call, 4);
  assert.equal(call.onResume('command')?.flush, undefined);
  assert.equal(call.epoch, 0);
});

test('the end of one turn and the beginning of the next are taken back in order; idle chunks before them stay', () => {
  const call = start({ leadChunks: 6 });
  make(call, 2);
  call.onPlayhead(playheadAt(0, 2, 6));
  call.onSpeech(1, counted(1.5 * samplesPerChunk), true);
  call.onSpeech(2, counted(samplesPerChunk, 20_000), true);
  const said = make(call, 3);
  assert.deepEqual(
    said.map(({ chunk, turn }) => [chunk, turn]),
    [
      [1, 1],
      [2, 1],
      [3, 2],
    ],
  );
  make(call, 1);
  assert.deepEqual(call.onPause('command')?.flush, { epoch: 2, turn: 1, fromChunk: 1, cause: 'pause' });
  const [idle] = make(call, 1);
  assert.deepEqual([idle?.turnSamples, idle?.closedTurn], [0, 0]);
  call.onResume('command');
  const again = make(call, 3);
  assert.deepEqual(
    again.map(({ pcm, turn, endOfTurn, turnSamples, closedTurn }) => ({
      pcm,
      turn,
      endOfTurn,
      turnSamples,
      closedTurn,
    })),
    said.map(({ pcm, turn, endOfTurn, turnSamples, closedTurn }) => ({
      pcm,
      turn,
      endOfTurn,
      turnSamples,
      closedTurn,
    })),
  );
});

test('padding is not speech: only speech is taken back, and lost samples stay counted', () => {
  const call = start({ leadChunks: 6 });
  call.onSpeech(1, counted(samplesPerChunk + 100), false);
  make(call, 1);
  call.updateGrace();
  clock.advance(120);
  make(call, 1);
  call.onSpeech(1, counted(samplesPerChunk, 500), true, samplesPerChunk + 300);
  const [last] = make(call, 1);
  assert.equal(last?.turnSamples, 2 * samplesPerChunk + 300, '200 samples never came');
  assert.deepEqual(call.onPause('command')?.change, { type: 'paused', turn: 1, heardMs: CHUNK_MS, cause: 'command' });
  call.onResume('command');
  const [first, second] = make(call, 2);
  assert.deepEqual(first?.pcm.subarray(0, 101), Int16Array.of(...counted(100, samplesPerChunk), 501));
  assert.equal(
    second?.pcm.findLastIndex((sample) => sample !== 0),
    99,
  );
  assert.deepEqual([first?.turnSamples, second?.turnSamples], [2 * samplesPerChunk + 200, 2 * samplesPerChunk + 300]);
});

test('an interrupt ends a pause: nothing is left to resume, and the next turn is spoken', () => {
  const call = start();
  call.onSpeech(1, chunks(5), true);
  make(call, 3);
  call.onPause('command');
  clock.advance(1000);
  const { change, flush, droppedSamples } = call.onInterrupt(1);
  assert.deepEqual(change, { type: 'resumed', turn: 1, heardMs: CHUNK_MS, cause: 'interrupt', pausedMs: 1000 });
  assert.equal(flush?.cause, 'interrupt');
  assert.equal(droppedSamples, 4 * samplesPerChunk);
  assert.equal(call.onResume('command'), undefined);
  assert.equal(make(call, 1)[0]?.turn, 0);
  call.onSpeech(2, chunks(1), true);
  assert.equal(make(call, 1)[0]?.turn, 2);
  assert.deepEqual(call.onInterrupt(1), { droppedSamples: 0 }, 'the same interrupt once more');
  call.onPause('command');
  assert.deepEqual(call.onInterrupt(1), { droppedSamples: 0 });
  assert.ok(call.isPaused);
});

test('speech that arrives in a pause waits, up to the capacity of the queue', () => {
  const call = start({ maxSpeechSamples: 6 * samplesPerChunk });
  call.onSpeech(1, chunks(4), false);
  make(call, 3);
  call.onPause('command');
  assert.equal(call.onSpeech(1, chunks(2), false).result, 'queued');
  assert.equal(call.onSpeech(1, chunks(1.5), false).result, 'full', 'what came back counts too');
});

test('a paused recording generates nothing, then continues unchanged', () => {
  const call = start({ unpaced: true });
  call.onSpeech(1, counted(3 * samplesPerChunk), true);
  const before = make(call, 3);
  assert.equal(call.onPause('command')?.flush?.fromChunk, 1);
  call.updateGrace();
  assert.equal(call.readyAtMs(), NEVER);
  assert.equal(call.onResume('command')?.flush, undefined);
  assert.deepEqual(
    make(call, 2).map(({ pcm, chunk }) => [pcm, chunk]),
    before.slice(1).map(({ pcm, chunk }) => [pcm, chunk]),
  );
});

test('speech that was heard before the flush reached the egress is not repeated', () => {
  const call = start();
  call.onSpeech(1, counted(3 * samplesPerChunk), true);
  make(call, 3);
  call.onPlayhead(playheadAt(0, 9, 4));
  const { epoch, fromChunk } = call.onPause('command')?.flush ?? {};
  assert.deepEqual([epoch, fromChunk], [1, 1]);
  const late = { ...playheadAt(1, 2, 4), turn: 1 };
  call.onPlayhead(late);
  call.onPlayhead(late);
  call.onPlayhead({ ...playheadAt(1, 6, 4), epoch: 1 });
  const heard = samplesPerChunk + 3 * geometry.samplesPerFrame;
  const resumed = call.onResume('command');
  assert.equal(resumed?.change.heardMs, (heard * 1000) / SPEECH_RATE_HZ);
  assert.equal(make(call, 1)[0]?.pcm[0], heard + 1);
  call.onPlayhead({ ...playheadAt(1, 11, 4), turn: 1 });
  assert.equal(make(call, 1)[0]?.pcm[0], heard + samplesPerChunk + 1, 'too late to matter');
});

test('paused, resumed and interrupted at random: every sample is heard once and in order, and nothing in a pause', () => {
  const seen = { pauses: 0, taken: 0, late: 0, cut: 0, left: 0 };
  for (let seed = 1; seed <= 60; seed++) {
    const call = new PlayedSession(seed);
    call.run(900);
    for (const [turn, { sent, heard, cut }] of call.turns) {
      const expected = cut ? sent.slice(0, heard.length) : sent;
      assert.deepEqual(heard, expected, `seed ${seed}, turn ${turn}`);
      if (cut) seen.cut += 1;
    }
    assert.deepEqual(call.inPause, [], `seed ${seed}: heard in a pause`);
    assert.deepEqual(
      call.order,
      [...call.order].sort((a, b) => a - b),
      `seed ${seed}: turns in their order`,
    );
    seen.pauses += call.pauses;
    seen.taken += call.takenBack;
    seen.late += call.lateFlushes;
    seen.left += call.idleLeft;
  }
  assert.ok(
    Object.values(seen).every((count) => count > 30),
    JSON.stringify(seen),
  );
});
