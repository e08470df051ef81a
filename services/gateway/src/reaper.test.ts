import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type MeshEvent, newSessionId, SESSIONS_BUCKET } from '@talkmesh/contracts';
import { until } from '@talkmesh/service-kit/testing';
import { parseApiKeys } from './api-keys.js';
import { SESSION_TTL_MS } from './session-store.js';
import { API_KEY, FakeMesh } from './testing/fake-mesh.js';

let mesh: FakeMesh;
before(async () => {
  mesh = await FakeMesh.start({
    TALKMESH_SWEEP_MS: '40',
    TALKMESH_WORKER_LOST_MS: '2000',
    TALKMESH_CLOSE_DEADLINE_MS: '100',
    TALKMESH_CREATE_DEADLINE_MS: '2500',
    TALKMESH_HANDOVER_DEADLINE_MS: '1500',
    TALKMESH_WATCH_MS: '100',
  });
});
after(() => mesh[Symbol.asyncDispose]());

const stateOf = async (id: string): Promise<unknown> => (await mesh.call('GET', `/v1/sessions/${id}`)).body['state'];
const ended = (id: string): Promise<void> => until('the end', async () => (await stateOf(id)) === 'ended');

/** Collects the events of a session. */
function hear(id: string): MeshEvent[] {
  const events: MeshEvent[] = [];
  mesh.workers['audio-llm-bridge'].bus.subscribeEvents(id, (event) => events.push(event));
  return events;
}

test('a session ends once when its viewer leaves, also with several gateways', async () => {
  await mesh.addGateway({ TALKMESH_SWEEP_MS: '40', TALKMESH_WORKER_LOST_MS: '2000' });
  await mesh.addGateway({ TALKMESH_SWEEP_MS: '40', TALKMESH_WORKER_LOST_MS: '2000' });
  const [left, stays] = [await mesh.session(), await mesh.session()];
  const events = hear(left.session);
  await mesh.workers['audio-llm-bridge'].bus.flush();
  const { bus } = mesh.workers['webrtc-egress'];
  bus.publishEvent({ sessionId: left.session, epoch: 0, turn: 0, type: 'viewer.gone', cause: 'connection closed' });
  bus.publishEvent({ sessionId: left.session, epoch: 0, turn: 0, type: 'viewer.gone', cause: 'connection closed' });
  await ended(left.session);
  await until('the event', () => events.some((event) => event.type === 'session.ended'));
  await bus.flush();
  const ends = events.filter((event) => event.type === 'session.ended');
  assert.deepEqual(
    ends.map((event) => event.cause),
    ['connection closed'],
  );
  const closed = mesh.workers['score-model'].closed.filter((close) => close.sessionId === left.session);
  assert.deepEqual(closed, [{ sessionId: left.session, reason: 'viewer-gone' }]);
  assert.equal(await stateOf(stays.session), 'open');
  await mesh.call('DELETE', `/v1/sessions/${stays.session}`);
});

test('a viewer.gone event with a wrong or unknown session is ignored', async () => {
  const { session } = await mesh.session();
  const { bus } = mesh.workers['webrtc-egress'];
  const lie = { v: 2, atMs: 1, sessionId: session, epoch: 0, turn: 0, type: 'viewer.gone', cause: 'lie' };
  bus.publish('event', newSessionId(), new TextEncoder().encode(JSON.stringify(lie)));
  bus.publishEvent({ sessionId: newSessionId(), epoch: 0, turn: 0, type: 'viewer.gone', cause: 'unknown' });
  await bus.flush();
  await new Promise((resolve) => setTimeout(resolve, 150));
  assert.equal(await stateOf(session), 'open');
  await mesh.call('DELETE', `/v1/sessions/${session}`);
});

test('sessions of a lost worker that no other takes over end with PEER_LOST, and their other stages are closed', async (t) => {
  const spare = await mesh.addWorker({ service: 'vae-decode' });
  await mesh.workers['vae-decode'].register({ state: 'draining' });
  t.after(() => mesh.workers['vae-decode'].register({ state: 'ready' }));
  const { session } = await mesh.session();
  assert.ok(spare.opened.has(session));
  const events = hear(session);
  await mesh.workers['audio-llm-bridge'].bus.flush();
  await spare.die();
  await ended(session);
  await until('the event', () => events.some((event) => event.type === 'session.ended'));
  // The start of the session may still have been on its way.
  const published = events
    .filter(({ type }) => type !== 'session.started')
    .map((event) => (event.type === 'error' ? `${event.type} ${event.service} ${event.reason}` : event.type));
  assert.deepEqual([...new Set(published)], ['stage.recovering', 'error vae-decode PEER_LOST', 'session.ended']);
  for (const service of ['webrtc-egress', 'score-model', 'audio-ingest'] as const)
    assert.deepEqual(mesh.workers[service].closed.at(-1), { sessionId: session, reason: 'failed' });
  await until('the record forgets the lost one', async () => {
    const { body } = await mesh.call<{ placement: object }>('GET', `/v1/sessions/${session}`);
    return Object.keys(body.placement).length === 0;
  });
});

test('a worker that is missing from the registry for a moment, as when NATS restarts, keeps its sessions', async () => {
  const { session } = await mesh.session();
  await mesh.nats.kill();
  await mesh.nats.start();
  await until('workers are back', async () => {
    const back = Object.values(mesh.workers).map((worker) =>
      worker.register().then(
        () => true,
        () => false,
      ),
    );
    return (await Promise.all(back)).every(Boolean);
  });
  await until('the session is open again', async () => {
    const answer = await mesh.call('GET', `/v1/sessions/${session}`);
    return answer.status === 200 && answer.body['state'] === 'open';
  });
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(await stateOf(session), 'open');
  await mesh.call('DELETE', `/v1/sessions/${session}`);
  for (const worker of Object.values(mesh.workers))
    assert.equal(worker.opened.has(session), false, worker.record.service);
});

test('the healthy workers of a service are counted, also when there is none', async () => {
  const worker = mesh.workers['vae-decode'];
  const isCounted = (count: number) => async (): Promise<boolean> =>
    (await mesh.gateway.context.metrics.registry.metrics()).includes(
      `talkmesh_mesh_workers{service="vae-decode"} ${count}\n`,
    );
  await until('one worker is counted', isCounted(1));
  worker.kill();
  await until('none is counted', isCounted(0));
  await worker.comeBack();
  await until('it is counted again', isCounted(1));
});

test('a clock that is set forward by ninety minutes ends no session', async () => {
  const { session } = await mesh.session();
  const own = await mesh.addGateway({ TALKMESH_SWEEP_MS: '40', TALKMESH_MAX_SESSION_MS: '3600000' });
  const sweeps = own.context.metrics;
  await until('a sweep has seen the session', async () => /state="open"} [1-9]/.test(await sweeps.registry.metrics()));
  const now = Date.now;
  Date.now = () => now() + 90 * 60_000;
  try {
    const second = await mesh.session();
    await until('later sweeps have run', async () => /state="open"} [2-9]/.test(await sweeps.registry.metrics()));
    await mesh.call('DELETE', `/v1/sessions/${second.session}`);
    await until('one more sweep has run', async () => /state="open"} 1$/m.test(await sweeps.registry.metrics()));
    assert.equal(await stateOf(session), 'open');
  } finally {
    Date.now = now;
  }
  await mesh.call('DELETE', `/v1/sessions/${session}`);
});

test('a session ends at its time limit', async () => {
  const brief = await mesh.addGateway({
    TALKMESH_SWEEP_MS: '40',
    TALKMESH_WORKER_LOST_MS: '2000',
    TALKMESH_MAX_SESSION_MS: '3000',
  });
  const {
    body: {
      session: { id },
    },
  } = await mesh.call<{ session: { id: string } }>('POST', '/v1/sessions', {
    body: { avatar: 'ada' },
    gateway: brief,
  });
  const events = hear(id);
  await ended(id);
  await until('the event', () =>
    events.some((event) => event.type === 'session.ended' && event.cause === 'max-duration'),
  );
  await brief[Symbol.asyncDispose]();
});

test('the remains of a gateway that exited are cleaned up', async () => {
  const { bus } = mesh.gateway.context;
  const bucket = await bus.kv(SESSIONS_BUCKET, { ttlMs: SESSION_TTL_MS });
  const worker = mesh.workers['score-model'];
  const place = { instanceId: worker.id, grpcAddress: worker.address };
  const record = (state: string) => ({
    id: newSessionId(),
    owner: parseApiKeys(API_KEY).keys[0]?.owner,
    state,
    avatar: 'ada',
    provider: 'parrot',
    output: 'webrtc',
    seed: 1,
    createdAtMs: Date.now(),
    placement: { 'score-model': place, 'vae-decode': { instanceId: 'vae-decode-gone', grpcAddress: '127.0.0.1:1' } },
  });
  const [halfOpen, halfClosed] = [record('opening'), record('ended')];
  for (const left of [halfOpen, halfClosed]) await bucket.create(left.id, left);
  await until('both are closed', () =>
    [halfOpen, halfClosed].every(({ id }) => worker.closed.some((close) => close.sessionId === id)),
  );
  await ended(halfOpen.id);
  await until('the records have no placement', async () => {
    const { body } = await mesh.call<{ placement: object }>('GET', `/v1/sessions/${halfClosed.id}`);
    return Object.keys(body.placement).length === 0;
  });
});
