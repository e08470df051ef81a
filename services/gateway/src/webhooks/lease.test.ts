/** Leases of several gateways in a real NATS. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { WEBHOOKS_BUCKET } from '@talkmesh/contracts';
import { createLogger, type KvBucket } from '@talkmesh/service-kit';
import {
  createTestContext,
  type NatsServer,
  startNatsServer,
  type TestContext,
  until,
} from '@talkmesh/service-kit/testing';
import { Lease } from './lease.js';

const log = createLogger({ service: 'gateway', instanceId: 'test', level: 'silent', pretty: false });
const LEASE_MS = 600;
let nats: NatsServer;
let context: TestContext<object>;
let bucket: KvBucket;

before(async () => {
  nats = await startNatsServer();
  context = await createTestContext('gateway', undefined, nats.url);
  bucket = await context.bus.kv(WEBHOOKS_BUCKET, { ttlMs: 60_000 });
});
after(async () => {
  await context[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
});

class Holder {
  readonly events: string[] = [];
  readonly lease: Lease;
  epoch = '';
  accepted: number | undefined;
  /** While it is true, NATS does not answer this one. */
  isCutOff = false;
  /** Before each reading. */
  beforeGet = async (): Promise<void> => undefined;

  constructor(holder: string, key: string) {
    const ask = <T>(use: () => Promise<T>): Promise<T> =>
      this.isCutOff ? Promise.reject(new Error('no answer')) : use();
    this.lease = new Lease({
      bucket: {
        get: async <T>(name: string) => {
          await this.beforeGet();
          return ask(() => bucket.get<T>(name));
        },
        create: (name, value) => ask(() => bucket.create(name, value)),
        update: (name, value, revision) => ask(() => bucket.update(name, value, revision)),
      },
      ...{ key, holder, leaseMs: LEASE_MS, log },
      from: () => ({ created: 'now', sequence: 1 }),
      onGained: (epoch, accepted) => {
        this.events.push('gained');
        [this.epoch, this.accepted] = [epoch, accepted.sequence];
      },
      onLost: () => this.events.push('lost'),
      onOther: (epoch) => {
        this.epoch = epoch;
      },
    });
  }
}

test('one of several has the lease; when it gives it back, another has it, with what was accepted', async () => {
  const first = new Holder('first', 'a');
  await until('the lease', () => first.lease.isHeld);
  const others = [new Holder('second', 'a'), new Holder('third', 'a')];
  await first.lease.save({ created: 'now', sequence: 7 });
  await until('the others to look', () => others.every(({ epoch }) => epoch === first.epoch));
  assert.ok(others.every(({ lease }) => !lease.isHeld));
  first.lease.pass({ created: 'now', sequence: 9 });
  await first.lease.stop();
  await until('another to have it', () => others.some(({ lease }) => lease.isHeld));
  const [next] = others.filter(({ lease }) => lease.isHeld);
  assert.deepEqual([next?.accepted, next?.epoch], [9, first.epoch]);
  assert.equal(others.filter(({ lease }) => lease.isHeld).length, 1);
  await assert.rejects(first.lease.save({ created: 'now', sequence: 10 }));
  for (const { lease } of others) await lease.stop();
});

test('one that does not renew is replaced, and knows that it has the lease no longer before the other has it', async () => {
  const first = new Holder('first', 'b');
  await until('the lease', () => first.lease.isHeld);
  const second = new Holder('second', 'b');
  let both = 0;
  const watch = setInterval(() => {
    if (first.lease.isHeld && second.lease.isHeld) both += 1;
  }, 1);
  first.isCutOff = true;
  await until('the other', () => second.lease.isHeld);
  await until('the loss', () => first.events.length === 2);
  assert.deepEqual(first.events, ['gained', 'lost']);
  first.isCutOff = false;
  await until('a look', () => first.epoch === second.epoch);
  clearInterval(watch);
  assert.equal(both, 0);
  await first.lease.stop();
  assert.ok(second.lease.isHeld);
  await second.lease.stop();
});

test('an answer that comes late says nothing about the time before it: the holder may have renewed its lease meanwhile', async () => {
  const first = new Holder('first', 'd');
  await until('the lease', () => first.lease.isHeld);
  const second = new Holder('second', 'd');
  let both = 0;
  const watch = setInterval(() => {
    if (first.lease.isHeld && second.lease.isHeld) both += 1;
  }, 1);
  let isLate = true;
  second.beforeGet = async () => {
    if (!isLate) return;
    await new Promise((resolve) => setTimeout(resolve, LEASE_MS));
    await first.lease.save({ created: 'now', sequence: 1 });
    first.isCutOff = true;
    isLate = false;
  };
  await until('the other', () => second.lease.isHeld);
  clearInterval(watch);
  assert.ok(!isLate);
  assert.equal(both, 0);
  for (const { lease } of [first, second]) await lease.stop();
});

test('looks do not pile up while NATS is slow, and the end waits for one of them only', async () => {
  const first = new Holder('first', 'e');
  await until('the lease', () => first.lease.isHeld);
  const second = new Holder('second', 'e');
  let asked = 0;
  let answer = (): void => undefined;
  second.beforeGet = () => {
    asked += 1;
    return new Promise((resolve) => {
      answer = resolve;
    });
  };
  await until('a question', () => asked === 1);
  for (let i = 0; i < 100; i++) second.lease.check();
  answer();
  await until('the next question', () => asked === 2);
  const stopped = second.lease.stop();
  answer();
  await stopped;
  assert.equal(asked, 2);
  await first.lease.stop();
});

test('after a restart of NATS the former holder has the lease again, with another epoch', async () => {
  const first = new Holder('first', 'c');
  await until('the lease', () => first.lease.isHeld);
  const { epoch } = first;
  const second = new Holder('second', 'c');
  await until('a look', () => second.epoch === epoch);
  await nats.kill();
  await nats.start();
  await until('the connection', () => context.bus.connected);
  first.lease.check();
  await until('a new lease', () => first.lease.isHeld && first.epoch !== epoch);
  assert.deepEqual([first.events, second.events], [['gained', 'lost', 'gained'], []]);
  assert.equal(first.accepted, 1, 'it begins anew');
  for (const { lease } of [first, second]) await lease.stop();
});
