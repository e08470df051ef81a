import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type PlayedTurn, type Turn, TurnQueue } from './turns.js';

const pcm = (ms: number): Int16Array => new Int16Array(ms * 24);
const at = (turn: number, turnPlayedMs: number, mediaMs = 0) => ({ turn, turnPlayedMs, mediaTimeUs: mediaMs * 1000 });

const over = (changed: readonly PlayedTurn[]): PlayedTurn[] => changed.filter(({ end }) => end !== undefined);

function begin(queue: TurnQueue, response: string, ...parts: number[]): Turn {
  const turn = queue.begin('voice', response, 60_000);
  assert.ok(turn);
  for (const ms of parts) queue.append(turn, pcm(ms));
  return turn;
}

test('speech is sent in order up to the allowed lead, and more as it is played', () => {
  const queue = new TurnQueue(8);
  const turn = begin(queue, 'a', 100, 100, 100, 100);
  queue.complete(turn);
  assert.deepEqual(
    queue.take(200).map((piece) => [piece.pcm.length / 24, piece.endOfTurn]),
    [
      [100, false],
      [100, false],
    ],
  );
  assert.equal(queue.take(200).length, 0);
  queue.played(at(1, 120));
  assert.equal(queue.take(200).length, 2);
  assert.equal(turn.sent, true);
  assert.deepEqual(over(queue.played(at(1, 399.5))), [{ turn, end: 'played' }]);
});

test('when a turn ends after its last speech was sent, the end is an empty message', () => {
  const queue = new TurnQueue(8);
  const turn = begin(queue, 'a', 100);
  assert.equal(queue.take(1000)[0]?.endOfTurn, false);
  queue.complete(turn);
  const [end] = queue.take(1000);
  assert.deepEqual([end?.pcm.length, end?.endOfTurn], [0, true]);
});

test('a turn waits until the previous one is sent, not until it is played', () => {
  const queue = new TurnQueue(8);
  const first = begin(queue, 'a', 100);
  begin(queue, 'b', 100);
  assert.deepEqual(
    queue.take(1000).map((piece) => piece.turn.number),
    [1],
  );
  queue.complete(first);
  assert.deepEqual(
    queue.take(1000).map((piece) => piece.turn.number),
    [1, 2],
  );
});

test('a playhead in a later turn finishes the earlier one', () => {
  const queue = new TurnQueue(8);
  const first = begin(queue, 'a', 100);
  queue.complete(first);
  begin(queue, 'b', 100);
  queue.take(1000);
  assert.deepEqual(over(queue.played(at(2, 40))), [{ turn: first, end: 'played' }]);
  assert.deepEqual([first.playedMs, queue.running[0]?.playedMs], [100, 40]);
});

test('a turn whose speech runs out continues with new speech; a completely sent turn that the playhead left is finished', () => {
  const queue = new TurnQueue(8);
  const turn = begin(queue, 'a', 1000);
  queue.take(1000);
  queue.played(at(1, 900, 1000));
  assert.deepEqual(queue.played(at(0, 0, 2000)), []);
  assert.deepEqual(queue.played(at(0, 0, 5100)), [{ turn, end: undefined }]);
  assert.equal(turn.playedMs, 1000, 'all that was sent was heard');
  queue.append(turn, pcm(500));
  queue.complete(turn);
  assert.equal(queue.take(1000).length, 1);
  assert.deepEqual(queue.played(at(0, 0, 5200)), [], 'new speech has been sent');
  assert.deepEqual(queue.played(at(1, 1500, 7000)), [{ turn, end: 'played' }]);
});

test('a turn that is never played counts as lost', () => {
  const queue = new TurnQueue(8);
  const turn = begin(queue, 'a', 100);
  queue.complete(turn);
  queue.take(1000);
  assert.deepEqual(queue.played(at(0, 0, 0)), []);
  assert.deepEqual(queue.played(at(0, 0, 19_000)), []);
  assert.deepEqual(queue.played(at(0, 0, 20_000)), [{ turn, end: 'lost' }]);
});

test('cut turns are removed and their responses retired; the limits hold', () => {
  const queue = new TurnQueue(2);
  begin(queue, 'a', 100);
  begin(queue, 'b');
  assert.equal(queue.begin('voice', 'c', 1000), undefined);
  assert.deepEqual(
    queue.cut().map((turn) => turn.response),
    ['a', 'b'],
  );
  assert.deepEqual([queue.isRetired('a'), queue.isRetired('b'), queue.isRetired('c')], [true, true, false]);
  const turn = queue.begin('voice', 'c', 1000) as Turn;
  assert.equal(queue.append(turn, pcm(900)), true);
  assert.equal(queue.append(turn, pcm(200)), false);
  assert.deepEqual([turn.complete, turn.acceptedMs], [true, 900]);
});
