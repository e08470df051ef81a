import assert from 'node:assert/strict';
import { createServer, type Server as TcpServer } from 'node:net';
import { after, afterEach, before, test } from 'node:test';
import { MeshError, type MeshEvent, type WorkerName } from '@talkmesh/contracts';
import { until } from '@talkmesh/service-kit/testing';
import { FakeMesh } from './testing/fake-mesh.js';
import type { FakeWorker } from './testing/fake-worker.js';

const ENV = {
  TALKMESH_SWEEP_MS: '60000',
  TALKMESH_RATE_LIMIT_BURST: '100000',
  TALKMESH_WATCH_MS: '50',
  TALKMESH_WORKER_LOST_MS: '300',
  TALKMESH_WORKER_CUT_OFF_MS: '300',
  TALKMESH_HANDOVER_DEADLINE_MS: '6000',
};

let mesh: FakeMesh;
before(async () => {
  mesh = await FakeMesh.start(ENV);
});
after(() => mesh[Symbol.asyncDispose]());

const live: string[] = [];
afterEach(async () => {
  for (const id of live.splice(0)) await mesh.call('DELETE', `/v1/sessions/${id}`);
});

async function session(body: object = {}): Promise<string> {
  const { session: id } = await mesh.session(body);
  live.push(id);
  return id;
}

const get = async (id: string): Promise<{ state: string; placement: Record<string, string> }> =>
  (await mesh.call<{ state: string; placement: Record<string, string> }>('GET', `/v1/sessions/${id}`)).body;

async function hear(id: string): Promise<MeshEvent[]> {
  const events: MeshEvent[] = [];
  const { bus } = mesh.workers['audio-llm-bridge'];
  bus.subscribeEvents(id, (event) => events.push(event));
  await bus.flush();
  return events;
}

const moves = (events: readonly MeshEvent[]) =>
  events.flatMap((event) => (event.type === 'stage.moved' ? [`${event.service} ${event.cause}`] : []));

/** Creates sessions while one worker is the only candidate of its service, so that all are placed on it. */
async function second(service: WorkerName, capacity = 8): Promise<FakeWorker> {
  return mesh.addWorker({ service, capacity });
}

const samples = async (metric: string): Promise<number> => {
  const text = await mesh.gateway.context.metrics.registry.metrics();
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${metric}{`))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
};

test('when a worker is killed, another one takes over its sessions; other stages are not touched', async () => {
  const spare = await second('score-model');
  await mesh.workers['score-model'].register({ state: 'draining' });
  const ids = [await session({ seed: 5 }), await session(), await session()];
  const [first] = ids as [string];
  await mesh.workers['score-model'].register({ state: 'ready' });
  const events = await hear(first);
  const untouched = mesh.workers['vae-decode'].opened.get(first);
  spare.kill();
  await until('all moved', () => ids.every((id) => mesh.workers['score-model'].opened.has(id)));
  const reopened = mesh.workers['score-model'].opened.get(first);
  assert.equal(reopened?.takeOver, true);
  assert.deepEqual(reopened?.score, { avatar: 'ada', seed: 5, unpaced: false, quality: 'balanced' });
  assert.equal((await get(first)).placement['score-model'], mesh.workers['score-model'].id);
  await until('the event', () => moves(events).length > 0);
  assert.deepEqual(moves(events), ['score-model died']);
  assert.equal(mesh.workers['vae-decode'].opened.get(first), untouched);
  assert.equal(untouched?.takeOver, false);
  assert.ok((await samples('talkmesh_handover_seconds_count')) >= 3);
  await spare.leaveRegistry();
});

test('when three gateways notice the same loss, every session moves once', async () => {
  const others = [await mesh.addGateway(ENV), await mesh.addGateway(ENV)];
  const spare = await second('vae-decode');
  const main = mesh.workers['vae-decode'];
  await main.register({ state: 'draining' });
  const ids = [await session(), await session(), await session()];
  await main.register({ state: 'ready' });
  const heard = await Promise.all(ids.map(hear));
  const opens: string[] = [];
  main.onOpen = async ({ sessionId, takeOver }) => void (takeOver && opens.push(sessionId));
  spare.kill();
  await until('all moved', () => ids.every((id) => main.opened.has(id)));
  await until('the events', () => heard.every((events) => moves(events).length > 0));
  await new Promise((resolve) => setTimeout(resolve, 300));
  main.onOpen = async () => undefined;
  assert.deepEqual([...opens].sort(), [...ids].sort());
  for (const events of heard) assert.deepEqual(moves(events), ['vae-decode died']);
  await spare.leaveRegistry();
  for (const gateway of others) await gateway[Symbol.asyncDispose]();
});

test('broken connections to a healthy worker move nothing', async () => {
  const spare = await second('score-model');
  await mesh.workers['score-model'].register({ state: 'draining' });
  const id = await session();
  await mesh.workers['score-model'].register({ state: 'ready' });
  const flapsBefore = await samples('talkmesh_worker_flaps_total');
  for (let i = 0; i < 3; i += 1) {
    await until('the break is seen', async () => {
      spare.breakConnections();
      return (await samples('talkmesh_worker_flaps_total')) > flapsBefore + i;
    });
  }
  assert.equal((await get(id)).placement['score-model'], spare.id);
  assert.equal(spare.opened.get(id)?.takeOver, false);
  await mesh.call('DELETE', `/v1/sessions/${id}`);
  await spare.die();
});

test('without a free worker the session waits, and a restarted process with a new instance id takes it over', async () => {
  const main = mesh.workers['audio-llm-bridge'];
  const id = await session();
  const events = await hear(id);
  const before = main.id;
  main.kill();
  await until('the recovering event', () => events.some((event) => event.type === 'stage.recovering'));
  assert.equal((await get(id)).state, 'open');
  await main.comeBack(`${before}-next`);
  await until('it took over', () => main.opened.get(id)?.takeOver === true);
  await until('the event', () => moves(events).length > 0);
  assert.deepEqual(moves(events), ['audio-llm-bridge died']);
});

test('a restarted process with its old instance id takes over its sessions', async () => {
  const main = mesh.workers['audio-ingest'];
  const id = await session();
  main.kill();
  await main.comeBack();
  await until('it took over', () => main.opened.get(id)?.takeOver === true);
  assert.equal((await get(id)).placement['audio-ingest'], main.id);
});

test('a draining worker closes each session before another one takes it over; without another worker it keeps them', async () => {
  const main = mesh.workers['score-model'];
  const ids = [await session(), await session()];
  const [first] = ids as [string];
  const events = await hear(first);
  const closedBefore = main.closed.length;
  await main.drain();
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(main.closed.length, closedBefore, 'no worker could take them over');
  assert.equal(events.length, 0);
  const order: string[] = [];
  const spare = await second('score-model');
  spare.onOpen = async ({ sessionId }) => void order.push(`open ${sessionId}`, `held ${main.opened.has(sessionId)}`);
  await until('all moved', () => ids.every((id) => spare.opened.has(id)));
  for (const id of ids) {
    assert.equal(order[order.indexOf(`open ${id}`) + 1], 'held false');
    assert.equal(spare.opened.get(id)?.takeOver, true);
  }
  assert.deepEqual(
    main.closed.slice(closedBefore).map(({ reason }) => reason),
    ['moved', 'moved'],
  );
  await until('the event', () => moves(events).length > 0);
  assert.deepEqual(moves(events), ['score-model drained']);
  assert.equal(main.opened.size, 0);
  await main.register({ state: 'ready' });
  await spare.drain();
  await until('and back', () => ids.every((id) => main.opened.has(id)));
  await spare.die();
});

test('a draining worker that could not close a session in time is asked again after it has moved', async () => {
  const main = mesh.workers['score-model'];
  const id = await session();
  const closedBefore = main.closed.length;
  main.onClose = async () => {
    main.onClose = async () => undefined;
    throw new MeshError('INTERNAL', 'busy');
  };
  await main.drain();
  const spare = await second('score-model');
  await until('the move', () => spare.opened.has(id));
  await until('the end', () => !main.opened.has(id));
  const closed = main.closed.slice(closedBefore);
  assert.ok(closed.every(({ sessionId, reason }) => sessionId === id && reason === 'moved'));
  await main.register({ state: 'ready' });
  await spare.drain();
  await until('and back', () => main.opened.has(id));
  await spare.die();
});

test('a worker that loses NATS for a moment keeps its sessions; after a longer loss they move', async () => {
  const spare = await second('vae-decode');
  await mesh.workers['vae-decode'].register({ state: 'draining' });
  const id = await session();
  await mesh.workers['vae-decode'].register({ state: 'ready' });
  const events = await hear(id);
  spare.reportHealth(false);
  await new Promise((resolve) => setTimeout(resolve, 50));
  spare.reportHealth(true);
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.equal((await get(id)).placement['vae-decode'], spare.id);
  spare.reportHealth(false);
  await until('it moved', () => mesh.workers['vae-decode'].opened.get(id)?.takeOver === true);
  assert.deepEqual(spare.closed.at(-1), { sessionId: id, reason: 'moved' });
  await until('the event', () => moves(events).length > 0);
  assert.deepEqual(moves(events), ['vae-decode cut-off']);
  await spare.die();
});

test('after a full or broken candidate the next one is tried', async () => {
  const [lost, full, broken] = [await second('score-model'), await second('score-model'), await second('score-model')];
  await mesh.workers['score-model'].register({ state: 'draining' });
  for (const other of [full, broken]) await other.register({ state: 'draining' });
  const id = await session();
  for (const worker of [mesh.workers['score-model'], full, broken]) await worker.register({ state: 'ready' });
  await mesh.workers['score-model'].register({ sessions: 3 });
  full.onOpen = async () => Promise.reject(new MeshError('SESSION_LIMIT', 'full'));
  broken.onOpen = async () => Promise.reject(new Error('a bug'));
  lost.kill();
  await until('it moved', () => mesh.workers['score-model'].opened.get(id)?.takeOver === true);
  for (const worker of [lost, full, broken]) await worker.die();
  await mesh.workers['score-model'].register();
});

test('a candidate that still holds the session from earlier closes it before it takes over', async () => {
  const main = mesh.workers['vae-decode'];
  const spare = await second('vae-decode');
  await main.register({ state: 'draining' });
  const id = await session();
  await main.register({ state: 'ready' });
  let refusals = 0;
  main.onOpen = async ({ sessionId }) => {
    if (main.closed.some((close) => close.sessionId === sessionId)) return;
    refusals += 1;
    throw new MeshError('SESSION_EXISTS', 'open here with other options');
  };
  spare.kill();
  await until('it moved', () => main.opened.get(id)?.takeOver === true);
  main.onOpen = async () => undefined;
  assert.equal(refusals, 1);
  assert.deepEqual(main.closed.at(-1), { sessionId: id, reason: 'moved' });
  await spare.leaveRegistry();
});

test('two stages of one session that are lost at the same moment both move', async () => {
  const [score, vae] = [await second('score-model'), await second('vae-decode')];
  for (const service of ['score-model', 'vae-decode'] as const)
    await mesh.workers[service].register({ state: 'draining' });
  const id = await session();
  for (const service of ['score-model', 'vae-decode'] as const)
    await mesh.workers[service].register({ state: 'ready' });
  score.kill();
  vae.kill();
  await until('both moved', async () => {
    const { placement } = await get(id);
    return (
      placement?.['score-model'] === mesh.workers['score-model'].id &&
      placement?.['vae-decode'] === mesh.workers['vae-decode'].id
    );
  });
  for (const service of ['score-model', 'vae-decode'] as const)
    await until(service, () => mesh.workers[service].opened.get(id)?.takeOver === true);
  for (const worker of [score, vae]) await worker.leaveRegistry();
});

test('a drain is noticed although the worker answers too late at first', async () => {
  const [main, spare] = [mesh.workers['score-model'], await second('score-model')];
  await main.register({ state: 'draining' });
  const id = await session();
  await main.register({ state: 'ready' });
  let late = 1;
  spare.onDescribe = async () => {
    late -= 1;
    if (late >= 0) await new Promise((resolve) => setTimeout(resolve, 2000));
  };
  await spare.drain();
  await until('the next worker has it', () => main.opened.get(id)?.takeOver === true);
  await spare.leaveRegistry();
});

test('a recording ends when the worker that writes it is lost', async () => {
  const spare = await second('webrtc-egress');
  await mesh.workers['webrtc-egress'].register({ state: 'draining' });
  const id = await session({ output: 'record' });
  await mesh.workers['webrtc-egress'].register({ state: 'ready' });
  const events = await hear(id);
  await spare.drain();
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal((await get(id)).placement['webrtc-egress'], spare.id, 'a draining worker continues to record');
  spare.kill();
  await until('the end', async () => (await get(id)).state === 'ended');
  await until('the reason', () => events.some((event) => event.type === 'error' && event.reason === 'PEER_LOST'));
  assert.deepEqual(moves(events), []);
  await spare.leaveRegistry();
});

test('a worker that does not answer keeps its sessions until its registry entry expires', async () => {
  const spare = await second('score-model');
  await mesh.workers['score-model'].register({ state: 'draining' });
  const id = await session();
  await mesh.workers['score-model'].register({ state: 'ready' });
  assert.equal((await get(id)).placement['score-model'], spare.id);
  const port = Number(spare.address.split(':')[1]);
  spare.kill();
  const hole = await occupy(port);
  await spare.register();
  await new Promise((resolve) => setTimeout(resolve, 1500));
  assert.equal((await get(id)).placement['score-model'], spare.id);
  await spare.leaveRegistry();
  await until('the registry has the last word', () => mesh.workers['score-model'].opened.get(id)?.takeOver === true);
  await new Promise((resolve) => hole.close(resolve));
});

/** Accepts connections on a port and never answers. */
async function occupy(port: number): Promise<TcpServer> {
  const sockets = new Set<{ destroy(): void }>();
  const server = createServer((socket) => void sockets.add(socket.on('error', () => undefined)));
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const close = server.close.bind(server);
  server.close = (done) => {
    for (const socket of sockets) socket.destroy();
    return close(done);
  };
  return server;
}
