import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConnectionWatch } from './connection-watch.js';
import type { CallStats } from './types.js';

const WEAK = 'The connection is weak.';

function setUp() {
  const told: (string | undefined)[] = [];
  const watch = new ConnectionWatch((trouble) => told.push(trouble?.title), 20);
  const add = (count: number, row: Partial<CallStats>): void => {
    for (let i = 0; i < count; i += 1) watch.onStats(row as CallStats);
  };
  return { told, watch, add };
}

test('lost packets and a long way are a weak connection, and it is over when the last seconds were good', () => {
  const { told, add } = setUp();
  add(3, { packetsLost: 500 });
  assert.deepEqual(told, [], 'lost long ago');
  add(1, { packetsLost: 560 });
  assert.deepEqual(told, [WEAK]);
  add(6, { packetsLost: 560 });
  assert.deepEqual(told, [WEAK, undefined]);
  add(5, { packetsLost: 560, roundTripMs: 900 });
  assert.deepEqual(told, [WEAK, undefined], 'not yet for long');
  add(1, { packetsLost: 560, roundTripMs: 900 });
  assert.deepEqual(told, [WEAK, undefined, WEAK]);
});

test('a picture that stands still is told; one short freeze, and a browser that reports nothing, are not', () => {
  const silent = setUp();
  silent.add(8, {});
  assert.deepEqual(silent.told, []);
  const { told, add } = setUp();
  add(1, { frozenMs: 0 });
  add(1, { frozenMs: 700 });
  assert.deepEqual(told, []);
  add(1, { frozenMs: 1300 });
  assert.deepEqual(told, ['The picture stutters.']);
});

test('a lost connection is told when it lasts, until it is back, and what was counted before does not matter then', async () => {
  const { told, watch, add } = setUp();
  const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 80));
  watch.onState('reconnecting');
  watch.onState('listening');
  await pause();
  assert.deepEqual(told, []);
  add(1, { packetsLost: 0 });
  add(1, { packetsLost: 90 });
  watch.onState('speaking');
  assert.deepEqual(told, [WEAK]);
  watch.onState('reconnecting');
  await pause();
  add(1, { packetsLost: 95 });
  watch.onState('listening');
  add(3, { packetsLost: 0 });
  assert.deepEqual(told, [WEAK, 'The connection was lost.', undefined]);
});

test('the end of a call takes the message back, and nothing is told after it', async () => {
  const { told, watch } = setUp();
  watch.onState('reconnecting');
  watch.onState('ended');
  await new Promise((resolve) => setTimeout(resolve, 80));
  assert.deepEqual(told, []);
});
