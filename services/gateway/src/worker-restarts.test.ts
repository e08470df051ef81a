import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MeshError, WORKERS_BUCKET, type WorkerName } from '@talkmesh/contracts';
import { callUnary } from '@talkmesh/service-kit';
import { until } from '@talkmesh/service-kit/testing';
import { API_KEY, FakeMesh, type Gateway } from './testing/fake-mesh.js';
import { plainPng } from './testing/pictures.js';
import { WorkerDirectory, WorkerRegistry } from './worker-directory.js';

/** Two gateways of one mesh: the first never waits for a worker, the second does. */
const NO_WAIT = { TALKMESH_RATE_LIMIT_BURST: '100000', TALKMESH_WATCH_MS: '50', TALKMESH_PLACEMENT_WAIT_MS: '0' };
const WITH_WAIT = { ...NO_WAIT, TALKMESH_PLACEMENT_WAIT_MS: '14000' };
const BEARER = { authorization: `Bearer ${API_KEY}` };

let mesh: FakeMesh;
let waitingGateway: Gateway;
before(async () => {
  mesh = await FakeMesh.start(NO_WAIT);
  waitingGateway = await mesh.addGateway(WITH_WAIT);
});
after(() => mesh[Symbol.asyncDispose]());

interface Answer {
  readonly session: { readonly id: string; readonly placement: Record<string, string> };
  readonly reason: string;
  readonly retryable: boolean;
}
const create = (gateway: Gateway = mesh.gateway) =>
  mesh.call<Answer>('POST', '/v1/sessions', { body: { avatar: 'ada' }, gateway });

/** Creates a session and ends it. @returns where its stages were placed */
async function placed(gateway?: Gateway): Promise<Record<string, string>> {
  const { status, body } = await create(gateway);
  assert.equal(status, 201, body.reason);
  const { session } = body;
  const found = await mesh.call<Answer['session']>('GET', `/v1/sessions/${session.id}`);
  assert.equal((await mesh.call('DELETE', `/v1/sessions/${session.id}`)).status, 204);
  return found.body.placement;
}

async function counted(gateway: Gateway, metric: string): Promise<number> {
  const text = await gateway.context.metrics.registry.metrics();
  const values = text.split('\n').filter((line) => line.startsWith(`${metric}{`));
  return values.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

const missing = async (gateway: Gateway) => (await gateway.readiness()).details['missing'] as string[];

let names = 0;
const nextName = (service: WorkerName): string => `${service}-again-${++names}`;

test('a new process at the address of a killed one is called at once, with a new instance id or the old one', async () => {
  const score = mesh.workers['score-model'];
  for (const name of [nextName('score-model'), undefined]) {
    const { body } = await create();
    score.kill();
    assert.equal((await mesh.call('DELETE', `/v1/sessions/${body.session.id}`)).status, 204);
    const refused = await create();
    assert.deepEqual([refused.status, refused.body.reason, refused.body.retryable], [503, 'NO_WORKER', true]);
    assert.equal(refused.headers.get('retry-after'), '2');
    await score.comeBack(name);
    await until('the watch to see it', async () => (await missing(mesh.gateway)).length === 0);
    assert.equal((await placed())['score-model'], score.id);
  }
});

test('a failed connection is opened again at once for a new call, without waiting for its back-off', async () => {
  const ingest = mesh.workers['audio-ingest'];
  const directory = new WorkerDirectory(new WorkerRegistry(await ingest.bus.kv(WORKERS_BUCKET, { ttlMs: 10_000 })));
  const describe = () =>
    callUnary<object, { instanceId: string }>(
      directory.clientsAt(ingest.address).stage,
      'describe',
      {},
      { deadlineMs: 5000 },
    );
  await describe();
  ingest.kill();
  await assert.rejects(describe(), { reason: 'PEER_LOST' });
  // By now the connection has failed several times and its back-off is most of a second.
  await sleep(1200);
  await ingest.comeBack();
  assert.equal((await describe()).instanceId, ingest.id);
  directory.close();
});

test('an address belongs to the worker that registered last; the earlier one is no candidate, even for a new gateway', async () => {
  const decoder = mesh.workers['vae-decode'];
  const dead = decoder.id;
  decoder.kill();
  await decoder.comeBack(nextName('vae-decode'));
  const bucket = await decoder.bus.kv(WORKERS_BUCKET, { ttlMs: 10_000 });
  assert.notEqual(await bucket.get(`vae-decode.${dead}`), undefined, 'the registry still remembers it');
  const workers = await new WorkerRegistry(bucket).read();
  assert.deepEqual(
    workers.candidates('vae-decode', 'nano@9').map(({ instanceId }) => instanceId),
    [decoder.id],
  );
  assert.equal(workers.has('vae-decode', dead), false);
});

test('a new session waits for a worker that restarts, and opens on it', async () => {
  const bridge = mesh.workers['audio-llm-bridge'];
  const before = await counted(waitingGateway, 'talkmesh_placement_waits_total');
  bridge.kill();
  const creating = placed(waitingGateway);
  await until('it to wait', async () => (await counted(waitingGateway, 'talkmesh_placement_waits_total')) > before);
  await bridge.comeBack(nextName('audio-llm-bridge'));
  assert.equal((await creating)['audio-llm-bridge'], bridge.id);
});

test('a new session also waits while a worker drains or the registry is empty; an uploaded picture waits, too', async () => {
  const decoder = mesh.workers['vae-decode'];
  await decoder.drain();
  const waiting = [placed(waitingGateway)];
  const picture = fetch(`${waitingGateway.url}/v1/avatars`, {
    ...{
      method: 'POST',
      headers: { ...BEARER, 'content-type': 'image/png' },
      body: new Uint8Array(plainPng(200, 100)),
    },
  });
  await sleep(300);
  const next = await mesh.addWorker({ service: 'vae-decode' });
  assert.equal((await waiting[0])?.['vae-decode'], next.id);
  assert.equal((await picture).status, 201);
  assert.equal(next.inspected.length > 0, true);
  await next.die();
  await decoder.register({ state: 'ready' });
  for (const worker of Object.values(mesh.workers)) await worker.leaveRegistry();
  const creating = placed(waitingGateway);
  await sleep(300);
  for (const worker of Object.values(mesh.workers)) await worker.register();
  assert.equal((await creating)['vae-decode'], decoder.id);
});

test('a worker whose first Open failed closes what it may hold before it is called again', async () => {
  const score = mesh.workers['score-model'];
  let opens = 0;
  score.onOpen = async () => {
    opens += 1;
    if (opens === 1) throw new MeshError('PEER_LOST', 'its child was just being started');
  };
  score.onClose = () => sleep(300);
  const { body } = await create(waitingGateway);
  assert.deepEqual([opens, score.opened.has(body.session.id)], [2, true]);
  await sleep(400);
  assert.equal(score.opened.has(body.session.id), true, 'the Close of the first did not end the second');
  score.onOpen = async () => undefined;
  score.onClose = async () => undefined;
  await mesh.call('DELETE', `/v1/sessions/${body.session.id}`);
});

test('a session does not wait for full or broken workers, and a caller that disconnects leaves nothing open', async () => {
  const score = mesh.workers['score-model'];
  const before = await counted(waitingGateway, 'talkmesh_placement_waits_total');
  for (const [thrown, reason] of [
    [new MeshError('SESSION_LIMIT', 'full'), 'SESSION_LIMIT'],
    [new Error('a bug'), 'NO_WORKER'],
  ] as const) {
    score.onOpen = () => Promise.reject(thrown);
    assert.equal((await create(waitingGateway)).body.reason, reason);
  }
  score.onOpen = async () => undefined;
  assert.equal(await counted(waitingGateway, 'talkmesh_placement_waits_total'), before);
  await score.register({ state: 'draining' });
  const headers = { ...BEARER, 'content-type': 'application/json' };
  const gone = new AbortController();
  const asking = fetch(`${waitingGateway.url}/v1/sessions`, {
    ...{ method: 'POST', headers, body: JSON.stringify({ avatar: 'ada' }), signal: gone.signal },
  });
  await until('it to wait', async () => (await counted(waitingGateway, 'talkmesh_placement_waits_total')) > before);
  gone.abort();
  await assert.rejects(asking);
  await until('all closed', () => Object.values(mesh.workers).every(({ opened }) => opened.size === 0));
  await score.register({ state: 'ready' });
});

test('a gateway becomes ready once it has reached a worker of every service, and always lists missing ones', async () => {
  const egress = mesh.workers['webrtc-egress'];
  await egress.register({ state: 'warming' });
  const early = await mesh.addGateway(NO_WAIT);
  assert.deepEqual((await early.readiness()).ready, false);
  await until('the others', async () => (await missing(early)).length === 1);
  assert.deepEqual(await early.readiness(), { ready: false, details: { missing: ['webrtc-egress'] } });
  await egress.register({ state: 'ready' });
  await until('all', async () => (await early.readiness()).ready);
  await placed(early);
  await egress.register({ state: 'warming' });
  assert.deepEqual(await early.readiness(), { ready: true, details: { missing: ['webrtc-egress'] } });
  await egress.register({ state: 'ready' });
});
