/** The permissions generated from the pipeline table against a real nats-server: what the table lists works, all else is refused. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  connect,
  type NatsConnection,
  PermissionViolationError,
  usernamePasswordAuthenticator,
} from '@nats-io/transport-node';
import {
  BUCKETS,
  inboxPrefixOf,
  natsAuthorization,
  newSessionId,
  PIPELINE,
  RETAINED_STREAMS,
  RETENTION,
  SERVICES,
  type ServiceName,
  STREAMS,
  subjectOf,
  subjectOfAll,
} from '@talkmesh/contracts';

import { health } from '../test-fixtures/grpc-probes.js';
import { startFixtureService } from '../test-fixtures/service.js';
import { createTestContext, type NatsServer, startNatsServer, type TestContext } from '../testing/index.js';
import { until } from '../testing/until.js';

let nats: NatsServer;
const contexts = new Map<ServiceName, TestContext<object>>();
const id = newSessionId();

const settingsOf = (service: ServiceName) => {
  assert.ok(nats.users !== undefined);
  return nats.users.settingsOf(service);
};
const busOf = (service: ServiceName) => {
  const context = contexts.get(service);
  assert.ok(context !== undefined);
  return context.bus;
};

before(async () => {
  nats = await startNatsServer({ users: true });
  for (const service of SERVICES) {
    const context = await createTestContext(service, settingsOf(service), nats.url);
    await context.retain();
    contexts.set(service, context);
  }
});
after(async () => {
  for (const context of contexts.values()) await context[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
});

/** A connection as a service that was taken over would make it: with its credentials, without the checks of the bus. */
async function asIntruder(service: ServiceName): Promise<NatsConnection> {
  const { natsUser, natsPasswordFile } = settingsOf(service);
  const password = readFileSync(natsPasswordFile, 'utf8');
  return connect({
    servers: nats.url,
    authenticator: usernamePasswordAuthenticator(natsUser, password),
    inboxPrefix: inboxPrefixOf(service),
    reconnect: false,
  });
}

/** What the server refuses, as `publish SUBJECT` and `subscription SUBJECT`. */
async function refusals(nc: NatsConnection, use: (nc: NatsConnection) => void): Promise<string[]> {
  const refused: string[] = [];
  const watching = (async () => {
    for await (const status of nc.status())
      if (status.type === 'error' && status.error instanceof PermissionViolationError)
        refused.push(`${status.error.operation} ${status.error.subject}`);
  })();
  use(nc);
  await nc.flush();
  await nc.close();
  await watching;
  return refused.sort();
}

test('a connection without user or with the password of another service is refused', async () => {
  await assert.rejects(connect({ servers: nats.url, reconnect: false }), /Authorization/);
  const stolen = readFileSync(settingsOf('webrtc-egress').natsPasswordFile, 'utf8');
  const authenticator = usernamePasswordAuthenticator('gateway', stolen);
  await assert.rejects(connect({ servers: nats.url, authenticator, reconnect: false }), /Authorization/);
});

for (const service of SERVICES) {
  test(`${service} publishes and receives the streams of the pipeline table and no other`, async () => {
    const { publishes, subscribes } = PIPELINE[service];
    const refused = await refusals(await asIntruder(service), (nc) => {
      for (const stream of STREAMS) {
        nc.publish(subjectOf(id, stream), new Uint8Array(1));
        nc.subscribe(subjectOf(id, stream), { callback: () => undefined });
        nc.subscribe(subjectOfAll(stream), { callback: () => undefined });
      }
    });
    const others = (used: readonly string[]) => STREAMS.filter((stream) => !used.includes(stream));
    const expected = [
      ...others(publishes).map((stream) => `publish ${subjectOf(id, stream)}`),
      ...others(subscribes).flatMap((stream) =>
        [subjectOf(id, stream), subjectOfAll(stream)].map((subject) => `subscription ${subject}`),
      ),
    ];
    assert.deepEqual(refused, expected.sort());
  });

  test(`${service} may not listen to everything, to replies for others, or take messages away in a queue group`, async () => {
    const other = SERVICES.find((name) => name !== service) ?? service;
    const wildcards = ['>', 'tm.>', `tm.v1.${id}.*`, '_INBOX.>', `${inboxPrefixOf(other)}.x`, '$JS.>', '$KV.>'];
    const nc = await asIntruder(service);
    const refused = await refusals(nc, () => {
      for (const subject of wildcards) nc.subscribe(subject, { callback: () => undefined });
      for (const stream of PIPELINE[service].subscribes) {
        nc.subscribe(subjectOfAll(stream), { queue: 'gateway', callback: () => undefined });
        nc.subscribe(subjectOf(id, stream), { queue: 'foreign', callback: () => undefined });
      }
    });
    const { subscribes, queueGroup } = PIPELINE[service];
    const queues = subscribes.flatMap((stream) => [
      ...(queueGroup === 'gateway' ? [] : [`subscription ${subjectOfAll(stream)}`]),
      `subscription ${subjectOf(id, stream)}`,
    ]);
    assert.deepEqual(refused, [...wildcards.map((subject) => `subscription ${subject}`), ...queues].sort());
  });

  test(`${service} reaches only the JetStream streams, buckets and records of the pipeline table`, async () => {
    const { buckets, readsBack, follows, publishes } = PIPELINE[service];
    const nc = await asIntruder(service);
    const refused = await refusals(nc, () => {
      for (const stream of RETAINED_STREAMS) {
        nc.publish(`$JS.API.STREAM.MSG.GET.${RETENTION[stream].name}`);
        nc.publish(`$JS.API.STREAM.INFO.${RETENTION[stream].name}`);
        nc.publish(`$JS.API.STREAM.UPDATE.${RETENTION[stream].name}`);
        nc.publish(`$JS.API.STREAM.DELETE.${RETENTION[stream].name}`);
        nc.publish(`$JS.API.STREAM.PURGE.${RETENTION[stream].name}`);
        nc.publish(`$JS.API.STREAM.CREATE.${RETENTION[stream].name}`);
      }
      for (const bucket of BUCKETS) {
        nc.publish(`$JS.API.STREAM.MSG.GET.KV_${bucket}`);
        nc.publish(`$JS.API.STREAM.CREATE.KV_${bucket}`);
        nc.publish(`$JS.API.CONSUMER.CREATE.KV_${bucket}`);
        nc.publish(`$JS.API.STREAM.PURGE.KV_${bucket}`);
        nc.publish(`$KV.${bucket}.score-model.forged`);
        nc.publish(`$JS.API.STREAM.DELETE.KV_${bucket}`);
      }
      nc.publish('$JS.API.STREAM.CREATE.spy');
      nc.publish('$JS.API.STREAM.LIST');
      nc.publish('$SYS.REQ.SERVER.PING');
    });
    const isRefused = (subject: string): boolean => refused.includes(`publish ${subject}`);
    for (const stream of RETAINED_STREAMS) {
      const { name } = RETENTION[stream];
      const reads: readonly string[] = readsBack;
      assert.equal(isRefused(`$JS.API.STREAM.MSG.GET.${name}`), !reads.includes(stream), `${stream} read back`);
      const followed: readonly string[] = follows;
      assert.equal(isRefused(`$JS.API.STREAM.INFO.${name}`), !followed.includes(stream), `${stream} followed`);
      assert.equal(isRefused(`$JS.API.STREAM.PURGE.${name}`), service !== 'gateway', `${stream} purged`);
      const mayCreate = publishes.includes(stream) || reads.includes(stream);
      assert.equal(isRefused(`$JS.API.STREAM.CREATE.${name}`), !mayCreate, `${stream} created`);
      for (const verb of ['UPDATE', 'DELETE'])
        assert.ok(isRefused(`$JS.API.STREAM.${verb}.${name}`), `${verb} ${name}`);
    }
    for (const bucket of BUCKETS) {
      const uses: readonly string[] = buckets[bucket] ?? [];
      const puts = uses.includes('put') || uses.includes('put-own');
      const gets = uses.includes('get') || uses.includes('list');
      assert.equal(isRefused(`$JS.API.STREAM.MSG.GET.KV_${bucket}`), !gets, `${bucket} read`);
      assert.equal(isRefused(`$JS.API.STREAM.CREATE.KV_${bucket}`), !puts, `${bucket} created`);
      assert.equal(isRefused(`$JS.API.CONSUMER.CREATE.KV_${bucket}`), !uses.includes('list'), `${bucket} listed`);
      assert.equal(isRefused(`$JS.API.STREAM.PURGE.KV_${bucket}`), !uses.includes('erase'), `${bucket} erased`);
      const isOwn = uses.includes('put') || (uses.includes('put-own') && service === 'score-model');
      assert.equal(isRefused(`$KV.${bucket}.score-model.forged`), !isOwn, `${bucket} written`);
      assert.ok(isRefused(`$JS.API.STREAM.DELETE.KV_${bucket}`), `${bucket} deleted`);
    }
    for (const subject of ['$JS.API.STREAM.CREATE.spy', '$JS.API.STREAM.LIST', '$SYS.REQ.SERVER.PING'])
      assert.ok(isRefused(subject), subject);
  });
}

test('everything the bus does for the services works with these permissions', async () => {
  const session = newSessionId();
  const sessions = await busOf('gateway').kv('talkmesh_sessions', { ttlMs: 60_000 });
  const revision = await sessions.create(session, { state: 'opening' });
  await sessions.update(session, { state: 'open' }, revision);
  await assert.rejects(sessions.create(session, {}), { reason: 'SESSION_EXISTS' });
  assert.deepEqual(await sessions.list(), [{ key: session, value: { state: 'open' }, revision: revision + 1 }]);
  const avatars = await busOf('gateway').kv('talkmesh_avatars', { ttlMs: 60_000 });
  await avatars.put('own-1', {});
  await avatars.delete('own-1');
  assert.deepEqual(await avatars.list(), []);

  for (const service of SERVICES.filter((name) => name !== 'gateway')) {
    const workers = await busOf(service).kv('talkmesh_workers', { ttlMs: 60_000 });
    await workers.put(`${service}.1`, { service });
    const readOnly = await busOf(service).kv('talkmesh_sessions', { ttlMs: 60_000 });
    assert.deepEqual((await readOnly.get(session))?.value, { state: 'open' });
    await assert.rejects(busOf(service).kv('talkmesh_avatars', { ttlMs: 1 }), { reason: 'PERMISSION_DENIED' });
  }
  const registry = await busOf('gateway').kv('talkmesh_workers', { ttlMs: 60_000 });
  assert.equal((await registry.list()).length, SERVICES.length - 1);
  await (await busOf('vae-decode').kv('talkmesh_workers', { ttlMs: 1 })).delete('vae-decode.1');

  const webhooks = await busOf('gateway').kv('talkmesh_webhooks', { ttlMs: 60_000 });
  await webhooks.create('shop.1', {});
  assert.deepEqual((await webhooks.scan()).length, 1);
  await webhooks.erase('shop.1');
  assert.deepEqual(await webhooks.scan(), []);
  const followed: string[] = [];
  const events = busOf('gateway').follow('event', await busOf('gateway').endOf('event'), async (messages) => {
    followed.push(...messages.map(({ subject }) => subject));
  });

  for (const service of SERVICES)
    for (const stream of PIPELINE[service].publishes) busOf(service).publish(stream, session, new Uint8Array(3));
  for (const service of SERVICES) await busOf(service).flush();
  for (const service of SERVICES)
    for (const stream of PIPELINE[service].readsBack) {
      const publishers = SERVICES.filter((name) => PIPELINE[name].publishes.includes(stream)).length;
      const retained = await busOf(service).readBack(stream, session, { deadlineMs: 5000 });
      assert.equal(retained.length, Math.min(publishers, RETENTION[stream].perSession), `${service} reads ${stream}`);
    }
  await until('the events', () => followed.length === SERVICES.length);
  events.unsubscribe();
  assert.deepEqual(new Set(followed), new Set([subjectOf(session, 'event')]));
  await assert.rejects(busOf('score-model').deleteRetained(session), { reason: 'PERMISSION_DENIED' });
  await busOf('gateway').deleteRetained(session);
  assert.deepEqual(await busOf('score-model').readBack('speech', session, { deadlineMs: 5000 }), []);
  for (const service of SERVICES) assert.equal(busOf(service).violation, undefined, service);
});

test('a worker reads a bucket that the gateway has not created yet as empty', async () => {
  await using fresh = await startNatsServer({ users: true });
  await using decoder = await createTestContext('vae-decode', fresh.users?.settingsOf('vae-decode'), fresh.url);
  const pictures = await decoder.bus.kv('talkmesh_pictures', { ttlMs: 60_000 });
  assert.equal(await pictures.get('own-1'), undefined);
  await using gateway = await createTestContext('gateway', fresh.users?.settingsOf('gateway'), fresh.url);
  const writable = await gateway.bus.kv('talkmesh_pictures', { ttlMs: 60_000 });
  await writable.put('own-1', 7);
  assert.equal((await pictures.get('own-1'))?.value, 7);
  assert.equal(decoder.bus.violation, undefined);
});

test('readiness fails while NATS refuses something that the pipeline table allows, and says what', async () => {
  const complete = natsAuthorization(() => 'password');
  const config = complete.replaceAll('"$JS.API.STREAM.CREATE.talkmesh_latent",', '');
  assert.notEqual(config, complete);
  await using incomplete = await startNatsServer({ config });
  const folder = await mkdtemp(join(tmpdir(), 'talkmesh-password-'));
  const file = join(folder, 'password');
  await writeFile(file, 'password');
  const user = { TALKMESH_NATS_USER: 'vae-decode', TALKMESH_NATS_PASSWORD_FILE: file };
  await using service = startFixtureService({ TALKMESH_NATS_URL: incomplete.url, ...user });
  const { adminAddress, grpcAddress } = await service.ready();
  const response = await fetch(`http://${adminAddress}/readyz`);
  const { natsRefuses } = (await response.json()) as { natsRefuses?: string };
  assert.deepEqual([response.status, natsRefuses], [503, 'publish $JS.API.STREAM.CREATE.talkmesh_latent']);
  assert.equal(await health(grpcAddress, ''), 'NOT_SERVING');
  assert.ok(service.lines.some(({ msg }) => String(msg).includes('npm run nats-permissions')));
  await rm(folder, { recursive: true });
});
