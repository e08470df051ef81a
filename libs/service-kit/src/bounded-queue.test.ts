import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BoundedQueue, type QueuePolicy, queueDepths, queueDrops } from './bounded-queue.js';

function queueOf(name: string, policy: QueuePolicy, capacity = 2) {
  const dropped: number[] = [];
  const queue = new BoundedQueue<number>({ name, capacity, policy, onDrop: (item) => dropped.push(item) });
  return { queue, dropped };
}

async function drainOf<T>(queue: BoundedQueue<T>): Promise<T[]> {
  queue.close();
  const items: T[] = [];
  for await (const item of queue) items.push(item);
  return items;
}

const dropCount = (queue: string, reason: string): number =>
  queueDrops().find((entry) => entry.queue === queue && entry.reason === reason)?.count ?? 0;

test('never-drop refuses a push to a full queue and keeps the items that wait', async () => {
  const { queue, dropped } = queueOf('t-never', 'never-drop');
  assert.deepEqual([queue.push(1), queue.push(2), queue.push(3)], [true, true, false]);
  assert.equal(dropCount('t-never', 'refused'), 1);
  assert.deepEqual(dropped, []);
  assert.deepEqual(await drainOf(queue), [1, 2]);
});

test('drop-oldest drops the head of a full queue, drop-newest the pushed item', async () => {
  const oldest = queueOf('t-oldest', 'drop-oldest');
  const newest = queueOf('t-newest', 'drop-newest');
  for (const item of [1, 2, 3]) {
    assert.equal(oldest.queue.push(item), true);
    assert.equal(newest.queue.push(item), true);
  }
  assert.deepEqual([oldest.dropped, newest.dropped], [[1], [3]]);
  assert.equal(dropCount('t-oldest', 'full'), 1);
  assert.deepEqual(await drainOf(oldest.queue), [2, 3]);
  assert.deepEqual(await drainOf(newest.queue), [1, 2]);
});

test('a waiting consumer receives items as they are pushed, until the queue is closed', async () => {
  const { queue } = queueOf('t-wait', 'drop-oldest');
  const seen: number[] = [];
  const consumer = (async () => {
    for await (const item of queue) seen.push(item);
  })();
  for (const item of [1, 2, 3, 4]) {
    queue.push(item);
    await new Promise((resolve) => setImmediate(resolve));
  }
  queue.close();
  await consumer;
  assert.deepEqual(seen, [1, 2, 3, 4]);
  assert.equal(queue.push(5), false);
});

test('clear removes all items that match, also equal ones, and counts them', async () => {
  const { queue, dropped } = queueOf('t-clear', 'never-drop', 5);
  for (const item of [1, 2, 1, 3]) queue.push(item);
  assert.equal(
    queue.clear((item) => item === 1),
    2,
  );
  assert.deepEqual(dropped, [1, 1]);
  assert.equal(dropCount('t-clear', 'cleared'), 2);
  assert.equal(queue.size, 2);
  assert.equal(queue.clear(), 2);
  assert.equal(queue.clear(), 0);
});

test('leaving a for-await loop does not close the queue', async () => {
  const { queue } = queueOf('t-leave', 'never-drop');
  queue.push(1);
  queue.push(2);
  for await (const item of queue) {
    assert.equal(item, 1);
    break;
  }
  assert.equal(queue.size, 1);
  assert.equal(queue.push(3), true);
});

test('the depth of queues with the same name is summed', () => {
  const [a, b] = [queueOf('t-depth', 'never-drop'), queueOf('t-depth', 'never-drop')];
  a.queue.push(1);
  b.queue.push(1);
  b.queue.push(2);
  assert.equal(queueDepths().get('t-depth'), 3);
  a.queue.clear();
  assert.equal(queueDepths().get('t-depth'), 2);
});

test('a capacity below one is refused', () => {
  assert.throws(() => queueOf('t-zero', 'never-drop', 0), RangeError);
});
