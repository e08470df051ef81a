import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { aborted, waitAtMost, waitUntil } from './waiting.js';

test('work that ends is done, work that fails rejects, work that hangs is given up', async () => {
  const hanging = new Promise(() => undefined);
  assert.equal(await waitAtMost(Promise.resolve(), 10_000), 'done');
  await assert.rejects(waitAtMost(Promise.reject(new Error('no')), 10_000), /no/);
  assert.equal(await waitAtMost(hanging, 1), 'gave-up');
  assert.equal(await waitAtMost(hanging, 10_000, AbortSignal.abort()), 'gave-up');
  assert.equal(await waitAtMost(hanging, 10_000, AbortSignal.timeout(1)), 'gave-up');
});

test('work that fails after it was given up disturbs nobody', async () => {
  let fail: (error: Error) => void = () => undefined;
  const work = new Promise((_resolve, reject) => {
    fail = reject;
  });
  assert.equal(await waitAtMost(work, 1), 'gave-up');
  fail(new Error('late'));
  await new Promise((resolve) => setImmediate(resolve));
});

test('waitUntil asks again and leaves no listeners behind', async () => {
  const { signal } = new AbortController();
  let asked = 0;
  assert.equal(await waitUntil(() => ++asked === 20, 10_000, signal, 1), true);
  assert.equal(getEventListeners(signal, 'abort').length, 0);
  assert.equal(await waitUntil(() => false, 5, signal, 1), false);
  assert.equal(await waitUntil(() => false, 10_000, AbortSignal.timeout(5), 1), false);
  await aborted(AbortSignal.abort());
});
