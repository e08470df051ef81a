import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Timers, ViewerWatch } from './viewer.js';

function setUp() {
  const said: string[] = [];
  let pending: { callback: () => void; delayMs: number } | undefined;
  const timers: Timers = {
    set: (callback, delayMs) => {
      pending = { callback, delayMs };
      return pending;
    },
    clear: (handle) => {
      if (handle === pending) pending = undefined;
    },
  };
  const watch = new ViewerWatch({
    connectTimeoutMs: 30_000,
    goneMs: 8000,
    onConnected: () => said.push('connected'),
    onGone: (cause) => said.push(`gone ${cause}`),
    timers,
  });
  return { watch, said, delay: () => pending?.delayMs, fire: () => pending?.callback() };
}

test('nobody came in time', () => {
  const { said, delay, fire } = setUp();
  assert.equal(delay(), 30_000);
  fire();
  assert.deepEqual(said, ['gone connect-timeout']);
});

test('a short absence is no farewell, a long one is', () => {
  const { watch, said, delay, fire } = setUp();
  watch.connected();
  assert.equal(delay(), undefined);
  watch.lost('disconnected');
  assert.equal(delay(), 8000);
  watch.connected();
  watch.lost('failed');
  watch.lost('closed');
  fire();
  assert.deepEqual(said, ['connected', 'connected', 'gone failed']);
});

test('a farewell counts at once and once', () => {
  const { watch, said, delay } = setUp();
  watch.connected();
  watch.left('hangup');
  watch.left('hangup');
  watch.lost('closed');
  assert.deepEqual(said, ['connected', 'gone hangup']);
  assert.equal(delay(), undefined);
});

test('after a crash of ours the viewer has as long as at the beginning', () => {
  const { watch, said, delay, fire } = setUp();
  watch.connected();
  watch.cutOff('peer-lost');
  assert.equal(delay(), 30_000);
  fire();
  assert.deepEqual(said, ['connected', 'gone peer-lost']);
});

test('a closed session says nothing any more', () => {
  const { watch, said, delay } = setUp();
  watch.dispose();
  watch.connected();
  watch.left('hangup');
  assert.equal(delay(), undefined);
  assert.deepEqual(said, []);
});
