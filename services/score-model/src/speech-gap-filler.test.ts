import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AudioMessage } from '@talkmesh/contracts';
import { type GapReport, SpeechGapFiller } from './speech-gap-filler.js';
import { SpeechQueue, type SpokenPosition } from './speech-queue.js';

const piece = (turn: number, fromSample: number, count: number, endOfTurn = false): AudioMessage => ({
  sessionId: '0123456789abcdefghjk',
  epoch: 0,
  turn,
  chunk: 0,
  mediaTimeUs: 0,
  deadlineUs: 0,
  sequence: 0,
  sampleRateHz: 24_000,
  pcm: Int16Array.from({ length: count }, (_, i) => fromSample + i),
  fromSample,
  endOfTurn,
});

function feedOf(retained: () => Promise<readonly AudioMessage[]>, from?: SpokenPosition) {
  const heard: string[] = [];
  const gaps: GapReport[] = [];
  const feed = new SpeechGapFiller({
    onSpeech: (turn, pcm, endOfTurn, fromSample) =>
      heard.push(`${turn}:${fromSample}+${pcm.length}${endOfTurn ? '.' : ''}`),
    readBack: retained,
    onGap: (report) => gaps.push(report),
    ...(from !== undefined && { from }),
  });
  return { feed, heard, gaps };
}
const nothing = async (): Promise<AudioMessage[]> => [];
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('what comes in order passes; what comes twice does not, also in part', () => {
  const { feed, heard, gaps } = feedOf(nothing);
  for (const message of [piece(1, 0, 4), piece(1, 0, 4), piece(1, 2, 4), piece(1, 6, 2, true), piece(1, 6, 2, true)])
    feed.push(message);
  feed.push(piece(2, 0, 3, true));
  feed.push(piece(1, 0, 9));
  assert.deepEqual(heard, ['1:0+4', '1:4+2', '1:6+2.', '2:0+3.']);
  assert.deepEqual(gaps, []);
});

test('a gap is filled from retained speech, before the speech after it', async () => {
  const kept = [piece(1, 0, 4), piece(1, 4, 4), piece(1, 8, 4)];
  const { feed, heard, gaps } = feedOf(async () => kept);
  feed.push(piece(1, 0, 4));
  feed.push(piece(1, 8, 4));
  feed.push(piece(1, 12, 4, true));
  assert.deepEqual(heard, ['1:0+4'], 'waits');
  await settled();
  assert.deepEqual(heard, ['1:0+4', '1:4+4', '1:8+4', '1:12+4.']);
  assert.deepEqual(gaps, [{ readBack: 8, lost: 0 }]);
});

test('the lost end of a turn is read back when the next turn begins; not when it was cut', async () => {
  const { feed, heard, gaps } = feedOf(async () => [piece(1, 0, 4), piece(1, 4, 1, true)]);
  feed.push(piece(1, 0, 4));
  feed.push(piece(2, 0, 2));
  await settled();
  assert.deepEqual(heard, ['1:0+4', '1:4+1.', '2:0+2']);
  feed.cut(2);
  feed.push(piece(2, 2, 2));
  feed.push(piece(3, 0, 1, true));
  feed.cut(9);
  feed.push(piece(8, 0, 1));
  assert.deepEqual(heard.slice(3), ['3:0+1.']);
  assert.equal(gaps.length, 1);
});

test('speech that is not retained either is reported as lost, and the turn continues after it', async () => {
  const failing = feedOf(() => Promise.reject(new Error('away')));
  failing.feed.push(piece(1, 4, 4));
  await settled();
  assert.deepEqual(failing.heard, ['1:4+4']);
  assert.equal(failing.gaps[0]?.lost, 4);
  assert.match(String(failing.gaps[0]?.error), /away/);
  failing.feed.push(piece(1, 8, 4, true));
  assert.deepEqual(failing.heard, ['1:4+4', '1:8+4.']);
});

test('a session that goes on elsewhere hears from its sample on', async () => {
  const kept = [piece(1, 0, 9, true), piece(2, 0, 4), piece(2, 4, 4), piece(2, 8, 4)];
  const { feed, heard } = feedOf(async () => kept, { closedTurn: 1, turn: 2, turnSamples: 6 });
  await feed.fill();
  feed.push(piece(2, 12, 1, true));
  assert.deepEqual(heard, ['2:6+2', '2:8+4', '2:12+1.']);
});

test('a closed session hears nothing more', async () => {
  const { feed, heard } = feedOf(async () => [piece(1, 0, 4)]);
  const filling = feed.fill();
  feed.close();
  await filling;
  assert.deepEqual(heard, []);
});

test('the position in a turn counts what is lost for good, when it is spoken', () => {
  const queue = new SpeechQueue({ samplesPerChunk: 10, maxSamples: 1000 });
  queue.push(1, new Int16Array(15), false, 0);
  queue.push(1, new Int16Array(20), false, 45);
  assert.deepEqual(
    [queue.take(), queue.take(), queue.take()].map(({ turnSamples }) => turnSamples),
    [10, 50, 60],
    'samples 15 to 45 never came',
  );
});

test('a turn that goes on ends where it ended, with nothing left to say', () => {
  const from = { closedTurn: 4, turn: 5, turnSamples: 30 };
  const queue = new SpeechQueue({ samplesPerChunk: 10, maxSamples: 1000, from });
  assert.equal(queue.status(), 'starving');
  assert.equal(queue.push(4, new Int16Array(3), false), 'stale');
  assert.equal(queue.push(5, new Int16Array(0), true, 30), 'queued');
  const { turn, endOfTurn, turnSamples, closedTurn } = queue.take();
  assert.deepEqual([turn, endOfTurn, turnSamples, closedTurn], [5, true, 30, 5]);
  assert.equal(queue.status(), 'idle');
});
