import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { aborted, afterSilence, waitAtMost, waitUntil } from './waiting.js';

test('waitAtMost returns done for finished work, rejects for failed work and gives up on work that hangs', async () => {
  const hanging = new Promise(() => undefined);
  assert.equal(await waitAtMost(Promise.resolve(), 10_000), 'done');
  await assert.rejects(waitAtMost(Promise.reject(new Error('no')), 10_000), /no/);
  assert.equal(await waitAtMost(hanging, 1), 'gave-up');
  assert.equal(await waitAtMost(hanging, 10_000, AbortSignal.abort()), 'gave-up');
  assert.equal(await waitAtMost(hanging, 10_000, AbortSignal.timeout(1)), 'gave-up');
});

test('a failure after waitAtMost gave up is ignored', async () => {
  let fail: (error: Error) => void = () => undefined;
  const work = new Promise((_resolve, reject) => {
    fail = reject;
  });
  assert.equal(await waitAtMost(work, 1), 'gave-up');
  fail(new Error('late'));
  await new Promise((resolve) => setImmediate(resolve));
});

test('waitUntil checks repeatedly and leaves no listeners behind', async () => {
  const { signal } = new AbortController();
  let asked = 0;
  assert.equal(await waitUntil(() => ++asked === 20, 10_000, signal, 1), true);
  assert.equal(getEventListeners(signal, 'abort').length, 0);
  assert.equal(await waitUntil(() => false, 5, signal, 1), false);
  assert.equal(await waitUntil(() => false, 10_000, AbortSignal.timeout(5), 1), false);
  await aborted(AbortSignal.abort());
});

test('a process that was stopped reads what arrived in the meantime before it reports silence', async () => {
  const sender = spawn('sh', ['-c', 'echo ready; sleep 0.2; echo speech; cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const received: string[] = [];
  sender.stdout.on('data', (part: Buffer) => void received.push(part.toString().trim()));
  assert.ok(await waitUntil(() => received.includes('ready'), 10_000, undefined, 5));
  const atSilence = await new Promise<string[] | undefined>((resolve) => {
    const silence = afterSilence(100, () => resolve([...received]));
    sender.stdout.once('data', () => {
      silence.cancel();
      resolve(undefined);
    });
    // The event loop stands still while the bytes arrive and the limit passes.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1500);
  });
  assert.equal(atSilence, undefined, 'the bytes were there');
  await new Promise<void>((resolve) => void afterSilence(20, resolve));
  sender.stdin.end();
});
