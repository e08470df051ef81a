import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WorkerRecord } from '@talkmesh/contracts';
import type { KvBucket } from '../bus/kv-bucket.js';
import { createLogger } from '../logging.js';
import { RegistryHeartbeat } from './registry.js';

const log = createLogger({ service: 'vae-decode', instanceId: 'a', level: 'silent', pretty: false });

/** A bucket whose writes finish when the test allows it. */
function slowBucket() {
  const written: WorkerRecord[] = [];
  const waiting: (() => void)[] = [];
  const put = async (_: string, value: unknown): Promise<number> => {
    const record = value as WorkerRecord;
    if (record.state === 'ready') await new Promise<void>((resolve) => waiting.push(resolve));
    return written.push(record);
  };
  const bucket = { put, delete: async () => undefined } as Partial<KvBucket> as KvBucket;
  return { bucket, written, endWrite: () => waiting.shift()?.() };
}

test('settle resolves only when the current record is written, even if an earlier write is slow', async () => {
  const { bucket, written, endWrite } = slowBucket();
  const record: WorkerRecord = {
    ...{ service: 'vae-decode', instanceId: 'a', grpcAddress: 'h:1', version: '0.1.0', model: 'nano@1' },
    ...{ state: 'warming', sessions: 0, capacity: 4 },
  };
  const registry = new RegistryHeartbeat({ bucket, record: () => ({ ...record }), heartbeatMs: 60_000, log });
  await registry.start();
  record.state = 'ready';
  registry.notify();
  record.sessions = 1;
  const resolved: string[] = [];
  const settled = registry.settle().then(() => void resolved.push('settled'));
  await new Promise(setImmediate);
  assert.deepEqual([resolved, written.length], [[], 1]);
  endWrite();
  await new Promise(setImmediate);
  assert.deepEqual([resolved, written.length], [[], 2], 'a change during a write is written afterwards');
  endWrite();
  await settled;
  assert.deepEqual(
    written.map(({ state, sessions }) => `${state} ${sessions}`),
    ['warming 0', 'ready 0', 'ready 1'],
  );
  await registry.stop();
});
