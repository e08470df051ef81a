import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FromMic } from '../mic-messages.js';
import { BlockJoiner } from './block-joiner.js';

function setUp() {
  const sent: FromMic[] = [];
  return { sent, joiner: new BlockJoiner((message) => sent.push(message)) };
}
const block = (sampleRate: number, value: number, channelCount = 1) => ({
  samples: new Int16Array(sampleRate / 100).fill(value),
  sampleRate,
  channelCount,
});

test('two blocks are sent as one message', () => {
  const { sent, joiner } = setUp();
  for (let i = 1; i <= 4; i++) joiner.push(block(48_000, i));
  assert.deepEqual(
    sent.map(({ pcm }) => [pcm.length, pcm[0], pcm[959]]),
    [
      [960, 1, 2],
      [960, 3, 4],
    ],
  );
});

test('a change of rate or channels first sends the waiting block', () => {
  const { sent, joiner } = setUp();
  joiner.push(block(16_000, 1));
  joiner.push(block(48_000, 2));
  joiner.push(block(48_000, 3, 2));
  joiner.push(block(48_000, 4, 2));
  assert.deepEqual(
    sent.map(({ sampleRateHz, channels, pcm }) => [sampleRateHz, channels, pcm.length]),
    [
      [16_000, 1, 160],
      [48_000, 1, 480],
      [48_000, 2, 960],
    ],
  );
});

test('a block is copied, so its buffer may be reused', () => {
  const { sent, joiner } = setUp();
  const reused = block(48_000, 1);
  joiner.push(reused);
  reused.samples.fill(2);
  joiner.push(reused);
  assert.deepEqual([sent[0]?.pcm[0], sent[0]?.pcm[480]], [1, 2]);
});
