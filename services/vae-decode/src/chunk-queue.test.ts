import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LatentMessage } from '@talkmesh/contracts';
import { ChunkQueue } from './chunk-queue.js';

const chunkOf = (epoch: number, chunk: number): LatentMessage =>
  ({ sessionId: 's', epoch, chunk }) as unknown as LatentMessage;

function newQueue() {
  const rollbacks: number[] = [];
  const queue = new ChunkQueue({
    sessionId: 's',
    epoch: 0,
    capacity: 16,
    rollback: (fromChunk) => void rollbacks.push(fromChunk),
  });
  return { queue, rollbacks };
}

test('a flush that arrives after a newer one still drops the chunks before its epoch, and does not roll back again', () => {
  const { queue, rollbacks } = newQueue();
  for (const chunk of [2, 3, 4]) queue.push(chunkOf(0, chunk));
  assert.equal(queue.flush(2, 4), 1);
  assert.equal(queue.flush(1, 3), 1);
  assert.deepEqual([queue.epoch, queue.head?.chunk, queue.dropped], [2, 2, 2]);
  assert.equal(queue.push(chunkOf(0, 3)), 'stale');
  assert.equal(
    queue.push(chunkOf(1, 3)),
    'queued',
    'a chunk that the late epoch began with plays before the newest one',
  );
  assert.deepEqual(rollbacks, [4]);
});

test('a repeated flush changes nothing', () => {
  const { queue, rollbacks } = newQueue();
  queue.push(chunkOf(0, 1));
  queue.flush(1, 2);
  assert.equal(queue.flush(1, 2), 0);
  assert.deepEqual([queue.head?.chunk, rollbacks], [1, [2]]);
});
