import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BoundedQueue } from './bounded-queue.js';
import { createMetrics } from './metrics.js';

test('the same definition returns the same metric, a different one with the same name throws', () => {
  const metrics = createMetrics({ defaults: false });
  const counter = metrics.counter('talkmesh_things_total', 'Things', ['kind']);
  assert.equal(metrics.counter('talkmesh_things_total', 'Things', ['kind']), counter);
  assert.throws(() => metrics.gauge('talkmesh_things_total', 'Things', ['kind']), /exists as counter/);
  assert.throws(() => metrics.counter('talkmesh_things_total', 'Things'), /exists as/);
});

test('invalid names and session labels are refused', () => {
  const metrics = createMetrics({ defaults: false });
  assert.throws(() => metrics.counter('things_total', 'x'), /talkmesh_/);
  for (const label of ['sessionId', 'session', 'session_id', 'sessionId'])
    assert.throws(() => metrics.counter('talkmesh_x_total', 'x', [label]), /series per session/);
});

test('every registry contains the queue metrics, and the Node.js metrics by default', async () => {
  const metrics = createMetrics();
  const queue = new BoundedQueue<number>({ name: 't-metrics', capacity: 1, policy: 'drop-oldest' });
  queue.push(1);
  queue.push(2);
  const text = await metrics.registry.metrics();
  assert.match(text, /talkmesh_queue_depth\{queue="t-metrics"\} 1/);
  assert.match(text, /talkmesh_queue_dropped_total\{queue="t-metrics",reason="full"\} 1/);
  assert.match(text, /nodejs_eventloop_lag_seconds/);
  assert.match(await metrics.registry.metrics(), /reason="full"\} 1\n/);
});
