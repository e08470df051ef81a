import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FairQueue } from './fair-queue.js';

const never = new AbortController().signal;

function queueOf(options: Partial<ConstructorParameters<typeof FairQueue>[0]> = {}) {
  const queue = new FairQueue({
    ...{ permits: 2, permitsPerKey: 1, waitingPerKey: 3, waiting: 5 },
    refusal: () => new Error('full'),
    ...options,
  });
  const started: string[] = [];
  const ends = new Map<string, () => void>();
  const run = (name: string, signal = never): Promise<void> =>
    queue.run(
      name.charAt(0),
      () => {
        started.push(name);
        return new Promise((resolve) => ends.set(name, resolve));
      },
      signal,
    );
  const end = async (name: string): Promise<void> => {
    ends.get(name)?.();
    await new Promise(setImmediate);
  };
  return { run, end, started };
}

test('one key never has all permits, and keys that wait take turns', async () => {
  const { run, end, started } = queueOf();
  const all = ['a1', 'a2', 'a3', 'b1', 'b2', 'c1'].map((name) => run(name));
  await new Promise(setImmediate);
  assert.deepEqual(started, ['a1', 'b1']);
  await end('a1');
  assert.deepEqual(started.slice(2), ['a2'], 'b runs already, so the next is of a, which was first');
  await end('a2');
  assert.deepEqual(started.slice(3), ['c1'], 'a had its turn');
  await end('b1');
  await end('c1');
  assert.deepEqual(started.slice(4).sort(), ['a3', 'b2']);
  await end('a3');
  await end('b2');
  await Promise.all(all);
});

test('queues are bounded for each key and in all', async () => {
  const { run, end } = queueOf({ waiting: 4 });
  const a = ['a1', 'a2', 'a3', 'a4'].map((name) => run(name));
  await assert.rejects(run('a5'), /full/);
  const b = ['b1', 'b2'].map((name) => run(name));
  await assert.rejects(run('c1'), /full/);
  for (const name of ['a1', 'a2', 'a3', 'a4', 'b1', 'b2']) await end(name);
  await Promise.all([...a, ...b]);
});

test('a task whose caller leaves while it waits gives up its place', async () => {
  const { run, end, started } = queueOf();
  const first = run('a1');
  const leaving = new AbortController();
  const second = run('a2', leaving.signal);
  const third = run('a3');
  leaving.abort(new Error('left'));
  await assert.rejects(second, /left/);
  await end('a1');
  await end('a3');
  assert.deepEqual(started, ['a1', 'a3']);
  await Promise.all([first, third]);
});

test('a task that fails gives its permit back', async () => {
  const queue = new FairQueue({
    ...{ permits: 1, permitsPerKey: 1, waitingPerKey: 1, waiting: 1 },
    refusal: () => new Error('full'),
  });
  const failing = (): Promise<never> => Promise.reject(new Error('no'));
  await assert.rejects(queue.run('a', failing, never), /no/);
  assert.equal(await queue.run('a', async () => 1, never), 1);
});
