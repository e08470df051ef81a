import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { createTestContext, type NatsServer, startNatsServer, type TestContext } from '../testing/index.js';
import { until } from '../testing/until.js';
import { waitUntil } from '../waiting.js';
import type { KvBucket } from './kv-bucket.js';

let nats: NatsServer;
let raw: NatsConnection;
let gateway: TestContext<object>;
let other: TestContext<object>;

before(async () => {
  nats = await startNatsServer();
  raw = await connect({ servers: nats.url });
  gateway = await createTestContext('gateway', undefined, nats.url);
  other = await createTestContext('gateway', undefined, nats.url);
});
after(async () => {
  await raw.close();
  await gateway[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
});

const open = (context: TestContext<object>): Promise<KvBucket> =>
  context.bus.kv('talkmesh_sessions', { ttlMs: 60_000 });

test('values are JSON, missing and deleted keys are undefined', async () => {
  const bucket = await open(gateway);
  assert.deepEqual(await bucket.list(), []);
  assert.equal(await bucket.get('a.b'), undefined);
  const revision = await bucket.create('a.b', { n: 1 });
  assert.deepEqual(await bucket.get('a.b'), { value: { n: 1 }, revision });
  await bucket.delete('a.b');
  await bucket.delete('never-there');
  assert.equal(await bucket.get('a.b'), undefined);
  assert.deepEqual(await bucket.list(), []);
  await bucket.create('a.b', { n: 2 });
  assert.deepEqual(
    (await bucket.list()).map(({ key, value }) => [key, value]),
    [['a.b', { n: 2 }]],
  );
});

test('what is erased leaves nothing, and the key can be used again', async () => {
  const bucket = await gateway.bus.kv('talkmesh_webhooks', { ttlMs: 60_000 });
  assert.deepEqual(await bucket.scan(), []);
  await bucket.put('a', 1);
  await bucket.put('a', 2);
  await bucket.put('b', 3);
  await bucket.erase('a');
  await bucket.erase('never-there');
  assert.equal(await bucket.get('a'), undefined);
  assert.deepEqual(await bucket.scan(), [{ key: 'b', value: 3, revision: 3 }]);
  const { state } = await (await jetstreamManager(raw)).streams.info('KV_talkmesh_webhooks');
  assert.equal(state.messages, 1);
  await bucket.create('a', 4);
  assert.equal((await bucket.get('a'))?.value, 4);
});

test('a scan reads every entry once, however many there are', async () => {
  const bucket = await gateway.bus.kv('talkmesh_webhooks', { ttlMs: 60_000 });
  const keys = Array.from({ length: 500 }, (_, i) => `many.${i}`);
  await Promise.all(keys.map((key) => bucket.put(key, key)));
  const found = (await bucket.scan()).filter(({ key }) => key.startsWith('many.'));
  assert.deepEqual(found.map(({ value }) => value).sort(), [...keys].sort());
});

test('of two concurrent updates one succeeds and the other fails with SESSION_EXISTS', async () => {
  const [mine, theirs] = [await open(gateway), await open(other)];
  const creations = await Promise.allSettled([mine.create('s', 'mine'), theirs.create('s', 'theirs')]);
  assert.deepEqual(creations.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  const loser = creations.find((result) => result.status === 'rejected');
  assert.equal(loser?.reason.reason, 'SESSION_EXISTS');
  const held = await mine.get<string>('s');
  assert.ok(held);
  const updates = await Promise.allSettled([mine.update('s', 1, held.revision), theirs.update('s', 2, held.revision)]);
  assert.deepEqual(updates.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  await assert.rejects(mine.update('s', 3, held.revision), { name: 'MeshError', reason: 'SESSION_EXISTS' });
});

test('several clients can open a missing bucket at the same time', async () => {
  const buckets = await Promise.all(
    [gateway, other, gateway, other].map((c) => c.bus.kv('talkmesh_pictures', { ttlMs: 5000 })),
  );
  await Promise.all(buckets.map((bucket, i) => bucket.put(`w.${i}`, i)));
  for (const i of buckets.keys()) assert.equal((await buckets[0]?.get(`w.${i}`))?.value, i);
});

test('a list contains keys that are written while it is read', async () => {
  const [reader, writer] = await Promise.all(
    [gateway, other].map((context) => context.bus.kv('talkmesh_avatars', { ttlMs: 60_000 })),
  );
  assert.ok(reader && writer);
  const keys = ['a', 'b', 'c', 'd', 'e', 'f'];
  for (const key of keys) await writer.put(key, 0);
  let lists = 0;
  const listing = (async () => {
    for (; lists < 30; lists += 1) assert.deepEqual((await reader.list()).map(({ key }) => key).sort(), keys);
  })();
  for (let i = 0; lists < 30 && i < 1e5; i += 1)
    await Promise.race([writer.put(keys[i % keys.length] as string, i), listing]);
  await listing;
});

test('a key expires after the TTL of its bucket', async () => {
  const bucket = await other.bus.kv('talkmesh_pictures', { ttlMs: 5000 });
  await bucket.put('short', 1);
  assert.ok(await bucket.get('short'));
  await until('the key expires', async () => (await bucket.get('short')) === undefined);
});

test('operations fail at once without a server, and create the bucket once more after its restart', async () => {
  const bucket = await open(gateway);
  const revision = await bucket.put('k', 1);
  await nats.kill();
  assert.ok(await waitUntil(() => !gateway.bus.connected, 10_000));
  await assert.rejects(bucket.get('k'), { reason: 'NATS_UNAVAILABLE' });
  gateway.bus.publishEvent({ type: 'session.ended', cause: 'x', sessionId: '0'.repeat(20), epoch: 0, turn: 0 });
  await nats.start();
  assert.ok(await waitUntil(() => gateway.bus.connected, 20_000));
  await assert.rejects(bucket.update('k', 2, revision), { reason: 'SESSION_EXISTS' });
  assert.equal(await bucket.get('k'), undefined);
  await bucket.put('k', 3);
  assert.deepEqual(
    (await bucket.list()).map(({ value }) => value),
    [3],
  );
  const text = await gateway.metrics.registry.metrics();
  assert.match(text, /talkmesh_message_rejected_total\{stream="event",reason="disconnected"\} 1/);
});
