import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AudioMessage } from '@talkmesh/contracts';
import { MicFramer } from './mic-framer.js';
import { goertzel, sine } from './testing/tones.js';

const SESSION_ID = '0'.repeat(20);
const joined = (messages: readonly AudioMessage[]) => Int16Array.from(messages.flatMap((message) => [...message.pcm]));

function assertUnbroken(messages: readonly AudioMessage[]): void {
  let samples = 0;
  messages.forEach((message, i) => {
    assert.equal(message.sequence, i);
    assert.equal(message.mediaTimeUs, Math.round((samples * 1e6) / 24_000));
    samples += message.pcm.length;
  });
}

test('audio becomes messages of 20 ms at 24 kHz, whatever the block size', () => {
  const framer = new MicFramer(SESSION_ID);
  const messages: AudioMessage[] = [];
  for (let i = 0; i < 100; i++) messages.push(...framer.push(sine(48_000, 480, 440, i * 480), 48_000));
  assert.ok(messages.length >= 48 && messages.length <= 50);
  assert.ok(
    messages.every(({ pcm, sampleRateHz, endOfTurn }) => pcm.length === 480 && sampleRateHz === 24_000 && !endOfTurn),
  );
  assertUnbroken(messages);
  const joinedPcm = joined(messages).subarray(480);
  assert.ok(goertzel(joinedPcm, 24_000, 440) > 0.95);
});

test('a change of rate neither loses nor adds samples', () => {
  const framer = new MicFramer(SESSION_ID);
  const messages: AudioMessage[] = [];
  for (let i = 0; i < 4; i++) messages.push(...framer.push(sine(16_000, 160, 300, i * 160), 16_000));
  const offset = 0.04 * 48_000;
  for (let i = 0; i < 196; i++) messages.push(...framer.push(sine(48_000, 480, 300, offset + i * 480), 48_000));
  messages.push(...framer.endTurn());
  assertUnbroken(messages);
  const joinedPcm = joined(messages);
  assert.equal(joinedPcm.length, 2 * 24_000);
  assert.ok(goertzel(joinedPcm, 24_000, 300) > 0.97, 'one tone, in phase across the change');
});

test('a hand-over emits the remaining samples, and the next worker uses higher sequence numbers', () => {
  const framer = new MicFramer(SESSION_ID);
  const all = [...framer.push(new Int16Array(1000).fill(9), 24_000), ...framer.handOver()];
  assert.deepEqual(
    all.map(({ pcm, endOfTurn }) => [pcm.length, endOfTurn]),
    [480, 480, 40].map((samples) => [samples, false]),
  );
  assert.deepEqual(framer.handOver(), []);
  const next = new MicFramer(SESSION_ID, 70_000);
  const [first] = next.push(new Int16Array(480), 24_000);
  assert.equal(first?.sequence, 70_000);
  assert.equal(next.messages, 1);
});

test('the end of a turn emits the remaining samples, marked; sequence numbers continue in the next turn', () => {
  const framer = new MicFramer(SESSION_ID);
  const first = [...framer.push(new Int16Array(1000).fill(9), 24_000), ...framer.endTurn()];
  assert.deepEqual(
    first.map(({ pcm, endOfTurn }) => [pcm.length, endOfTurn]),
    [
      [480, false],
      [480, false],
      [40, true],
    ],
  );
  const second = [...framer.push(new Int16Array(480), 24_000), ...framer.endTurn()];
  assert.deepEqual(
    second.map(({ sequence, pcm }) => [sequence, pcm.length]),
    [
      [3, 480],
      [4, 0],
    ],
  );
  assertUnbroken([...first, ...second]);
});

test('samples that do not fill a message are kept for the next source', () => {
  const framer = new MicFramer(SESSION_ID);
  framer.push(new Int16Array(300).fill(1), 24_000);
  assert.deepEqual(framer.pause(), []);
  const [message] = framer.push(new Int16Array(180).fill(2), 24_000);
  assert.deepEqual([message?.pcm[299], message?.pcm[300]], [1, 2]);
});

test('a turn that is cut ends with an empty message, and nothing of it gets into the next turn', () => {
  const framer = new MicFramer(SESSION_ID);
  framer.push(new Int16Array(300).fill(1), 16_000);
  const end = framer.cutTurn();
  assert.deepEqual([end.pcm.length, end.endOfTurn, end.sequence], [0, true, 0]);
  const [message] = framer.push(new Int16Array(480).fill(2), 24_000);
  assert.ok(message?.pcm.every((sample) => sample === 2));
});
