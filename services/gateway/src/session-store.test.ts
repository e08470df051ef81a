import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshError, newSessionId, type SessionRecord } from '@talkmesh/contracts';
import { SessionStore, type SessionsBucket } from './session-store.js';

/** A bucket without a server. `clear` is what a restart of NATS does to it. */
function memoryBucket(): SessionsBucket & { clear(): void } {
  const entries = new Map<string, { value: unknown; revision: number }>();
  let last = 0;
  const replace = async (key: string, value: unknown, revision: number | undefined): Promise<number> => {
    if (entries.get(key)?.revision !== revision) throw new MeshError('SESSION_EXISTS', 'another revision');
    last += 1;
    entries.set(key, { value, revision: last });
    return last;
  };
  return {
    get: async <T>(key: string) => entries.get(key) as { value: T; revision: number } | undefined,
    create: (key, value) => replace(key, value, undefined),
    update: replace,
    list: async <T>() => [...entries].map(([key, { value, revision }]) => ({ key, value: value as T, revision })),
    clear: () => entries.clear(),
  };
}

const newRecord = (state: SessionRecord['state']): SessionRecord => ({
  ...{ id: newSessionId(), owner: 'shop', state, avatar: 'mia', provider: 'external', output: 'record', seed: 1 },
  ...{ createdAtMs: 1, placement: {} },
});

test('an open session is found between a restart of NATS and the next sweep, and written again once', async () => {
  const bucket = memoryBucket();
  const [store, other] = [new SessionStore(bucket), new SessionStore(bucket)];
  const record = newRecord('open');
  await store.create(record);
  await other.find(record.id);
  bucket.clear();
  const found = await Promise.all([store.get(record.id), other.get(record.id)]);
  assert.deepEqual(found[0], found[1]);
  assert.deepEqual((await bucket.get(record.id))?.value, record);
  const restored = [...(await store.restore(await store.list())), ...(await other.restore(await other.list()))];
  assert.deepEqual(restored, [record.id]);
  assert.deepEqual(await store.restore(await store.list()), [], 'it is reported once');
});

test('a sweep after a restart of NATS writes open sessions again, and not those that have ended', async () => {
  const bucket = memoryBucket();
  const store = new SessionStore(bucket);
  const [open, ending] = [newRecord('open'), newRecord('open')];
  await store.create(open);
  await store.update(await store.create(ending), { state: 'ended' });
  bucket.clear();
  assert.deepEqual(await store.restore(await store.list()), [open.id]);
  assert.deepEqual(
    (await store.list()).map(({ record }) => record.id),
    [open.id],
  );
  assert.equal(await store.find(ending.id), undefined);
});

test('a session that another gateway has restored as opening is open again', async () => {
  const bucket = memoryBucket();
  const store = new SessionStore(bucket);
  const opening = newRecord('opening');
  await store.update(await store.create(opening), { state: 'open' });
  bucket.clear();
  await bucket.create(opening.id, opening);
  assert.deepEqual(await store.restore(await store.list()), [opening.id]);
  assert.equal((await store.get(opening.id)).record.state, 'open');
});
