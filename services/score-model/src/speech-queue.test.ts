import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SpeechQueue } from './speech-queue.js';

const CHUNK = 10;
const queue = (maxSamples = 1000): SpeechQueue => new SpeechQueue({ samplesPerChunk: CHUNK, maxSamples });
const samples = (count: number, from = 1): Int16Array => Int16Array.from({ length: count }, (_, i) => from + i);

const spoken = (turnSamples: number, closedTurn: number, speechSamples = 0) => ({
  ...{ turnSamples, closedTurn, speechSamples },
  fromSample: turnSamples - speechSamples,
});

test('a turn comes out whole, chunk by chunk, the last one padded and flagged', () => {
  const speech = queue();
  assert.equal(speech.push(1, samples(7), false), 'first');
  assert.equal(speech.status(), 'starving');
  assert.equal(speech.push(1, samples(7, 8), false), 'queued');
  assert.equal(speech.status(), 'ready');
  assert.deepEqual(speech.take(), {
    ...spoken(10, 0, 10),
    turn: 1,
    pcm: samples(10),
    speaking: true,
    endOfTurn: false,
  });
  assert.equal(speech.status(), 'starving');
  speech.push(1, new Int16Array(0), true);
  assert.equal(speech.status(), 'ready');
  const last = Int16Array.of(11, 12, 13, 14, 0, 0, 0, 0, 0, 0);
  assert.deepEqual(speech.take(), { ...spoken(14, 1, 4), turn: 1, pcm: last, speaking: true, endOfTurn: true });
  assert.equal(speech.status(), 'idle');
  assert.deepEqual(speech.take(), {
    ...spoken(0, 1),
    turn: 0,
    pcm: new Int16Array(10),
    speaking: false,
    endOfTurn: false,
  });
});

test('a turn of whole chunks waits for its end, so that no empty chunk follows', () => {
  const speech = queue();
  speech.push(1, samples(20), false);
  assert.equal(speech.take().endOfTurn, false);
  assert.equal(speech.status(), 'starving', 'ten samples are there, but is it the end?');
  speech.push(1, new Int16Array(0), true);
  assert.equal(speech.take().endOfTurn, true);
  assert.equal(speech.status(), 'idle');
});

test('an end of turn that arrives after its speech was taken is sent in a silent chunk of that turn', () => {
  const speech = queue();
  speech.push(3, samples(10), false);
  assert.equal(speech.take().endOfTurn, false, 'taken by force');
  speech.push(3, new Int16Array(0), true);
  assert.deepEqual(speech.take(), {
    ...spoken(10, 3),
    turn: 3,
    pcm: new Int16Array(10),
    speaking: false,
    endOfTurn: true,
  });
});

test('turns do not mix in a chunk, and a new turn ends the one whose end was lost', () => {
  const speech = queue();
  speech.push(1, samples(4), false);
  assert.equal(speech.push(2, samples(4), true), 'first');
  assert.deepEqual(
    [speech.take(), speech.take()].map(({ turn, endOfTurn }) => [turn, endOfTurn]),
    [
      [1, true],
      [2, true],
    ],
  );
});

test('a turn without a sample has no chunk', () => {
  const speech = queue();
  assert.equal(speech.push(1, new Int16Array(0), false), 'queued');
  assert.equal(speech.push(1, new Int16Array(0), true), 'queued');
  assert.equal(speech.status(), 'idle');
  speech.push(2, new Int16Array(0), false);
  assert.equal(speech.push(2, samples(1), false), 'first', 'the first sample is the first');
});

test('a cut forgets a turn and all before it, also what is still on its way', () => {
  const speech = queue();
  speech.push(1, samples(15), true);
  speech.push(2, samples(15), false);
  speech.push(3, samples(5), false);
  assert.equal(speech.cut(2), 30);
  assert.equal(speech.samples, 5);
  assert.equal(speech.push(2, samples(9), true), 'stale');
  assert.equal(speech.push(3, samples(9), false), 'queued');
  assert.equal(speech.cut(0), 14, '0: everything');
  assert.equal(speech.push(3, samples(1), false), 'stale');
  assert.equal(speech.status(), 'idle');
  assert.equal(speech.push(4, samples(1), false), 'first');
});

test('speech of a turn that ended is stale', () => {
  const speech = queue();
  speech.push(5, samples(3), true);
  assert.equal(speech.push(5, samples(3), false), 'stale');
  assert.equal(speech.push(4, samples(3), false), 'stale');
});

test('what is taken back comes again in its order, but for what was cut; silence says where the turn stands', () => {
  const speech = queue();
  speech.push(1, samples(13), true);
  speech.push(2, samples(25, 100), false);
  const taken = [speech.take(), speech.take(), speech.take()];
  speech.takeBack(taken.slice(1));
  assert.deepEqual([speech.samples, speech.nextTurn], [28, { turn: 1, turnSamples: 10 }]);
  assert.deepEqual(speech.silence(), {
    ...spoken(10, 0),
    turn: 0,
    pcm: samples(10).fill(0),
    speaking: false,
    endOfTurn: false,
  });
  assert.deepEqual([speech.take(), speech.take()], taken.slice(1));
  speech.cut(1);
  speech.takeBack(taken);
  assert.equal(speech.take().turn, 2);
});

test('what was heard after all is skipped, whole turns too', () => {
  const speech = queue();
  speech.push(1, samples(13), true);
  speech.push(2, samples(30, 100), false);
  const taken = [speech.take(), speech.take(), speech.take()];
  speech.takeBack(taken);
  speech.skipHeard(2, 4);
  assert.equal(speech.nextTurn.turn, 1, 'turn 2 is not next');
  speech.skipHeard(1, 13);
  speech.skipHeard(2, 4);
  assert.deepEqual(speech.nextTurn, { turn: 2, turnSamples: 4 });
  assert.deepEqual([speech.take().pcm[0], speech.samples], [104, 16]);
});

test('a full queue refuses, and has room again', () => {
  const speech = queue(25);
  assert.equal(speech.push(1, samples(20), false), 'first');
  assert.equal(speech.push(1, samples(6), false), 'full');
  assert.equal(speech.samples, 20);
  speech.take();
  assert.equal(speech.push(1, samples(6), true), 'queued');
  assert.equal(speech.samples, 16);
});
