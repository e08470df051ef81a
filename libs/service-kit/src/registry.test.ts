import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WorkerRecord } from '@talkmesh/contracts';
import type { KvBucket } from './kv-bucket.js';
import { createLogger } from './logging.js';
import { RegistryHeartbeat } from './registry.js';

const log = createLogger({ service: 'vae-decode', instanceId: 'a', level: 'silent', pretty: false });

/** A bucket whose writes take until the test lets them end. */
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

test('a worker is in the registry as it is before anybody is told, however long a write takes', async () => {
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
  const told: string[] = [];
  const settled = registry.settle().then(() => void told.push('settled'));
  await new Promise(setImmediate);
  assert.deepEqual([told, written.length], [[], 1]);
  endWrite();
  await new Promise(setImmediate);
  assert.deepEqual([told, written.length], [[], 2], 'what was said meanwhile is written too');
  endWrite();
  await settled;
  assert.deepEqual(
    written.map(({ state, sessions }) => `${state} ${sessions}`),
    ['warming 0', 'ready 0', 'ready 1'],
  );
  await registry.stop();
});
