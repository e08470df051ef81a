import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { createTestContext, type NatsServer, startNatsServer, type TestContext } from '../testing/index.js';
import { until } from '../testing/until.js';
import type { KvBucket } from './kv-bucket.js';

const STREAM = 'KV_talkmesh_sessions';

let nats: NatsServer;
let operator: NatsConnection;
let manager: JetStreamManager;
let reading: TestContext<object>;
let writing: TestContext<object>;
let reader: KvBucket;
let writer: KvBucket;

before(async () => {
  nats = await startNatsServer();
  operator = await connect({ servers: nats.url });
  manager = await jetstreamManager(operator);
  reading = await createTestContext('gateway', undefined, nats.url);
  writing = await createTestContext('gateway', undefined, nats.url);
  const open = ({ bus }: TestContext<object>): Promise<KvBucket> => bus.kv('talkmesh_sessions', { ttlMs: 60_000 });
  [reader, writer] = [await open(reading), await open(writing)];
});
after(async () => {
  await reading?.[Symbol.asyncDispose]();
  await writing?.[Symbol.asyncDispose]();
  await operator?.close();
  await nats?.[Symbol.asyncDispose]();
});

const consumersOf = async (stream: string): Promise<string[]> => {
  const names: string[] = [];
  for await (const { name } of manager.consumers.list(stream)) names.push(name);
  return names;
};
const listed = async (): Promise<Map<string, unknown>> =>
  new Map((await reader.list()).map(({ key, value }) => [key, value]));

test('a hundred lists leave one consumer at the server', async () => {
  await writer.put('a', 1);
  for (let i = 0; i < 100; i += 1) assert.equal((await listed()).get('a'), 1);
  assert.equal((await consumersOf(STREAM)).length, 1);
});

test('an entry that did not change is the same object in the next list', async () => {
  await writer.put('same', 1);
  await writer.put('changes', 1);
  const first = await reader.list();
  await writer.put('changes', 2);
  const second = await reader.list();
  const of = (list: typeof first, key: string) => list.find((entry) => entry.key === key);
  assert.equal(of(second, 'same'), of(first, 'same'));
  assert.deepEqual([of(first, 'changes')?.value, of(second, 'changes')?.value], [1, 2]);
});

test('a list has every change that was confirmed before it, while keys are created and replaced', async () => {
  const confirmed = new Map<string, number>();
  const write = async (name: string): Promise<void> => {
    for (let i = 0; i < 150; i += 1) {
      const key = `${name}.${i}`;
      // Not one after the other, so that most values are replaced before they are delivered.
      await Promise.all([1, 2, 3].map((value) => writer.put(key, value)));
      confirmed.set(key, 3);
    }
  };
  const all = Promise.all(['p', 'q', 'r'].map(write));
  let lists = 0;
  for (; confirmed.size < 450; lists += 1) {
    const expected = [...confirmed.keys()];
    const found = await listed();
    assert.deepEqual(
      expected.filter((key) => !found.has(key)),
      [],
    );
  }
  await all;
  assert.ok(lists > 5, `${lists} lists`);
  const last = await listed();
  assert.deepEqual(
    [...confirmed].filter(([key, value]) => last.get(key) !== value),
    [],
  );
});

test('the first list has every key, while keys that it has not received yet are replaced', async () => {
  // Long enough that the server has to wait with the delivery.
  const text = 'x'.repeat(8000);
  const keys = Array.from({ length: 2000 }, (_, i) => `many.${i}`);
  await Promise.all(keys.map((key) => writer.put(key, text)));
  for (let round = 1; round <= 5; round += 1) {
    const fresh = await reading.bus.kv('talkmesh_sessions', { ttlMs: 60_000 });
    let isListing = true;
    const replacing = (async () => {
      for (let i = 0; isListing; i += 50)
        await Promise.all(Array.from({ length: 50 }, (_, k) => writer.put(keys[(i + k * 37) % 2000] as string, text)));
    })();
    const found = new Set((await fresh.list()).map(({ key }) => key));
    isListing = false;
    await replacing;
    assert.deepEqual(
      keys.filter((key) => !found.has(key)),
      [],
    );
  }
});

test('a list is right after the server has lost the consumer', async () => {
  await writer.put('b', 1);
  assert.equal((await listed()).get('b'), 1);
  for (const name of await consumersOf(STREAM)) await manager.consumers.delete(STREAM, name);
  await writer.put('b', 2);
  await writer.delete('a');
  const found = await listed();
  assert.equal(found.get('b'), 2);
  assert.equal(found.has('a'), false);
});

test('a list does not have keys whose time is over, also when they were the last ones', async () => {
  const bucket = await reading.bus.kv('talkmesh_avatars', { ttlMs: 1500 });
  await bucket.put('early', 1);
  await bucket.put('late', 1);
  assert.equal((await bucket.list()).length, 2);
  const isListed = async (key: string) => (await bucket.list()).some((entry) => entry.key === key);
  await until('the early key expires', async () => {
    await bucket.put('late', 2);
    return !(await isListed('early'));
  });
  assert.equal(await isListed('late'), true);
  await until('the late key expires', async () => !(await isListed('late')));
  await bucket.put('early', 3);
  assert.deepEqual(
    (await bucket.list()).map(({ key, value }) => [key, value]),
    [['early', 3]],
  );
});

test('a list has only what was written after a restart of the server, also by others', async () => {
  assert.ok((await listed()).size > 0);
  await nats.kill();
  await until('the loss', async () => !reading.bus.connected && !writing.bus.connected);
  await assert.rejects(reader.list(), { reason: 'NATS_UNAVAILABLE' });
  await nats.start();
  await until('the reconnects', async () => reading.bus.connected && writing.bus.connected);
  await writer.put('c', 1);
  assert.deepEqual(await listed(), new Map([['c', 1]]));
});
