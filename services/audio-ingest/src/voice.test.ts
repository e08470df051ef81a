import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from '@talkmesh/service-kit';
import { VoiceWatch } from './voice.js';

const log = createLogger({ service: 'test', instanceId: 'test', level: 'silent', pretty: false });
const gate = { startThreshold: 0.5, stopThreshold: 0.35, startMs: 96, stopMs: 160 };

/** Each sample of a message is a probability in percent of one window. */
function setUp() {
  const reported: (string | number)[] = [];
  let closed = false;
  const detector = {
    push: async (pcm: Int16Array) => {
      if (pcm[0] === -1) throw new Error('broken');
      return [...pcm].map((percent) => percent / 100);
    },
    close: () => {
      closed = true;
    },
  };
  const watch = new VoiceWatch({
    detector,
    gate,
    log,
    onStart: () => reported.push('start'),
    onStop: (durationMs) => reported.push('stop', durationMs),
  });
  return { watch, reported, isClosed: () => closed };
}

const settle = () => new Promise<void>((resolve) => setTimeout(resolve, 5));

test('the start, the stop and the duration of speech are reported', async () => {
  const { watch, reported } = setUp();
  watch.push(Int16Array.of(1, 60, 90, 90, 90, 40, 90, 90), true);
  watch.push(Int16Array.of(10, 10, 10, 10, 10, 10), true);
  await settle();
  assert.deepEqual(reported, ['start', 'stop', 7 * 32]);
});

test('a click does not start speech and a short pause does not stop it', async () => {
  const { watch, reported } = setUp();
  watch.push(Int16Array.of(99, 99, 0, 0, 0, 99, 99, 99, 99, 0, 0, 0, 99), true);
  await settle();
  assert.deepEqual(reported, ['start']);
});

test('speech stops when the source disconnects, and silence reports nothing', async () => {
  const { watch, reported } = setUp();
  watch.sourceGone();
  watch.push(Int16Array.of(99, 99, 99, 99), true);
  await settle();
  watch.sourceGone();
  watch.sourceGone();
  await settle();
  assert.deepEqual(reported, ['start', 'stop', 4 * 32]);
});

test('a stream that arrives in one burst is analysed completely; a microphone whose queue is long is skipped', async () => {
  const { watch, reported } = setUp();
  for (let i = 0; i < 400; i++) watch.push(Int16Array.of(99), false);
  watch.sourceGone();
  await settle();
  assert.deepEqual([reported, watch.skipped], [['start', 'stop', 400 * 32], 0]);
  for (let i = 0; i < 400; i++) watch.push(Int16Array.of(99), true);
  assert.ok(watch.skipped > 250, `${watch.skipped}`);
  await watch.close();
});

test('messages on which the detector fails are counted as skipped, and close waits for the detector', async () => {
  const { watch, reported, isClosed } = setUp();
  watch.push(Int16Array.of(-1), true);
  watch.push(Int16Array.of(99, 99, 99), true);
  await settle();
  assert.deepEqual([reported, watch.skipped], [['start'], 1]);
  await watch.close();
  assert.equal(isClosed(), true);
});
