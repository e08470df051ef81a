import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Timers, ViewerWatch } from './viewer.js';

function setUp() {
  const reported: string[] = [];
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
    onConnected: () => reported.push('connected'),
    onGone: (cause) => reported.push(`gone ${cause}`),
    timers,
  });
  return { watch, reported, delay: () => pending?.delayMs, fire: () => pending?.callback() };
}

test('a viewer that does not connect in time is reported as gone', () => {
  const { reported, delay, fire } = setUp();
  assert.equal(delay(), 30_000);
  fire();
  assert.deepEqual(reported, ['gone connect-timeout']);
});

test('a viewer counts as gone only after a long disconnection', () => {
  const { watch, reported, delay, fire } = setUp();
  watch.connected();
  assert.equal(delay(), undefined);
  watch.lost('disconnected');
  assert.equal(delay(), 8000);
  watch.connected();
  watch.lost('failed');
  watch.lost('closed');
  fire();
  assert.deepEqual(reported, ['connected', 'connected', 'gone failed']);
});

test('a viewer that says goodbye may come back as long as one that vanished', () => {
  const { watch, reported, delay, fire } = setUp();
  watch.hungUp();
  assert.equal(delay(), 8000, 'also before it was connected');
  watch.connected();
  watch.hungUp();
  watch.lost('closed');
  assert.equal(delay(), 8000);
  watch.connected();
  assert.equal(delay(), undefined);
  watch.hungUp();
  fire();
  watch.hungUp();
  assert.deepEqual(reported, ['connected', 'connected', 'gone hangup']);
});

test('a reader that disconnects is reported at once, and only once', () => {
  const { watch, reported, delay } = setUp();
  watch.connected();
  watch.left('reader-gone');
  watch.left('reader-gone');
  watch.lost('closed');
  assert.deepEqual(reported, ['connected', 'gone reader-gone']);
  assert.equal(delay(), undefined);
});

test('after a crash of this service the viewer may take the full connect time again', () => {
  const { watch, reported, delay, fire } = setUp();
  watch.connected();
  watch.cutOff('peer-lost');
  assert.equal(delay(), 30_000);
  fire();
  assert.deepEqual(reported, ['connected', 'gone peer-lost']);
});

test('a closed session reports nothing', () => {
  const { watch, reported, delay } = setUp();
  watch.dispose();
  watch.connected();
  watch.left('hangup');
  assert.equal(delay(), undefined);
  assert.deepEqual(reported, []);
});
