import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from '@talkmesh/service-kit';
import { VoiceWatch } from './voice.js';

const log = createLogger({ service: 'test', instanceId: 'test', level: 'silent', pretty: false });
const gate = { startThreshold: 0.5, stopThreshold: 0.35, startMs: 96, stopMs: 160 };

/** Each sample of a message is a probability in percent of one window. */
function setUp() {
  const said: (string | number)[] = [];
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
    onStart: () => said.push('start'),
    onStop: (durationMs) => said.push('stop', durationMs),
  });
  return { watch, said, isClosed: () => closed };
}

const settle = () => new Promise<void>((resolve) => setTimeout(resolve, 5));

test('speech has a beginning, an end and the length of what was said', async () => {
  const { watch, said } = setUp();
  watch.push(Int16Array.of(1, 60, 90, 90, 90, 40, 90, 90), true);
  watch.push(Int16Array.of(10, 10, 10, 10, 10, 10), true);
  await settle();
  assert.deepEqual(said, ['start', 'stop', 7 * 32]);
});

test('a click is no speech and a short pause no end', async () => {
  const { watch, said } = setUp();
  watch.push(Int16Array.of(99, 99, 0, 0, 0, 99, 99, 99, 99, 0, 0, 0, 99), true);
  await settle();
  assert.deepEqual(said, ['start']);
});

test('when the source goes, speech ends; silence says nothing', async () => {
  const { watch, said } = setUp();
  watch.sourceGone();
  watch.push(Int16Array.of(99, 99, 99, 99), true);
  await settle();
  watch.sourceGone();
  watch.sourceGone();
  await settle();
  assert.deepEqual(said, ['start', 'stop', 4 * 32]);
});

test('a stream in one burst is heard to its end, a microphone that backs up is skipped', async () => {
  const { watch, said } = setUp();
  for (let i = 0; i < 400; i++) watch.push(Int16Array.of(99), false);
  watch.sourceGone();
  await settle();
  assert.deepEqual([said, watch.skipped], [['start', 'stop', 400 * 32], 0]);
  for (let i = 0; i < 400; i++) watch.push(Int16Array.of(99), true);
  assert.ok(watch.skipped > 250, `${watch.skipped}`);
  await watch.close();
});

test('a detector that fails is skipped and counted, and its close is waited for', async () => {
  const { watch, said, isClosed } = setUp();
  watch.push(Int16Array.of(-1), true);
  watch.push(Int16Array.of(99, 99, 99), true);
  await settle();
  assert.deepEqual([said, watch.skipped], [['start'], 1]);
  await watch.close();
  assert.equal(isClosed(), true);
});
