import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newSessionId, type SessionRecord } from '@talkmesh/contracts';
import { createLogger, createMetrics } from '@talkmesh/service-kit';
import { HandOver, type HandOverOptions } from './handover.js';

const PLACE = { service: 'webrtc-egress', instanceId: 'egress-1', grpcAddress: '127.0.0.1:1' } as const;

test('a worker that is lost while a pass over its drained sessions runs does not keep them', async () => {
  const id = newSessionId();
  const record = {
    id,
    state: 'open',
    output: 'record',
    placement: { 'webrtc-egress': { instanceId: PLACE.instanceId, grpcAddress: PLACE.grpcAddress } },
  } as unknown as SessionRecord;
  const reads: (() => void)[] = [];
  const ended: string[] = [];
  const handOver = new HandOver({
    store: {
      find: () => new Promise((resolve) => reads.push(() => resolve({ record, revision: 1 }))),
      list: async () => [{ record, revision: 1 }],
    },
    stages: {},
    sessions: { end: async (session: string) => void ended.push(session) },
    bus: { publishEvent: () => undefined },
    isBack: () => false,
    ...{ handoverDeadlineMs: 60_000, handoverParallel: 1, closeDeadlineMs: 1000 },
    log: createLogger({ service: 'gateway', instanceId: 'gateway-1', level: 'silent', pretty: false }),
    metrics: createMetrics({ defaults: false }),
  } as unknown as HandOverOptions);

  const drained = handOver.move(id, PLACE, 'drained');
  const [died, sweep] = [handOver.move(id, PLACE, 'died'), handOver.move(id, PLACE, 'died')];
  await settled();
  reads.shift()?.();
  assert.equal(await drained, 'kept');
  await settled();
  assert.equal(reads.length, 1, 'both calls share one move');
  reads.shift()?.();
  assert.deepEqual(await Promise.all([died, sweep]), ['ended', 'ended']);
  assert.deepEqual(ended, [id]);
});

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
