import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger, createMetrics, PLAIN_CLIENT } from '@talkmesh/service-kit';
import { HealthWatch } from './health-watch.js';
import { WorkerSnapshot } from './worker-directory.js';

const place = { service: 'score-model', instanceId: 'score-model-1', grpcAddress: '127.0.0.1:9' } as const;

test('a watch that stops while it reads the registry monitors none of the workers that it finds', async () => {
  let found: (snapshot: WorkerSnapshot) => void = () => assert.fail('the registry was not read');
  const watch = new HealthWatch({
    registry: {
      read: () =>
        new Promise((resolve) => {
          found = resolve;
        }),
    },
    bus: { connected: true },
    peerSecurity: PLAIN_CLIENT,
    watchMs: 1000,
    workerLostMs: 1000,
    cutOffMs: 1000,
    log: createLogger({ service: 'gateway', instanceId: 'test', level: 'silent', pretty: false }),
    metrics: createMetrics({ defaults: false }),
  });
  const never = (): never => assert.fail('a worker was monitored');
  watch.start({ onLost: never, onDraining: never, onReturned: never });
  watch.stop();
  found(new WorkerSnapshot([{ ...place, version: '1', state: 'ready', sessions: 0, capacity: 1, model: 'nano@1' }]));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(watch.stateOf(place.instanceId), undefined);
  watch.follow(place);
  assert.equal(watch.stateOf(place.instanceId), undefined, 'nor one that a request names');
});
