import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { newSessionId, type WorkerRecord } from '@talkmesh/contracts';
import { v1 } from '@talkmesh/contracts/protos';
import type { KvBucket } from '../bus/kv-bucket.js';
import { callUnary, closeClient, connectClient } from '../grpc/grpc.js';
import { startFixtureService } from '../test-fixtures/service.js';
import { createTestContext, type NatsServer, startNatsServer, type TestContext } from '../testing/index.js';
import type { ServiceProcess } from '../testing/service-process.js';

const { version } = JSON.parse(readFileSync('libs/service-kit/package.json', 'utf8')) as { version: string };

let nats: NatsServer;
let gateway: TestContext<object>;
let workers: KvBucket;

before(async () => {
  nats = await startNatsServer();
  gateway = await createTestContext('gateway', undefined, nats.url);
  workers = await gateway.bus.kv('talkmesh_workers', { ttlMs: 10_000 });
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
});

const start = (env: Record<string, string> = {}): ServiceProcess =>
  startFixtureService({ TALKMESH_NATS_URL: nats.url, ...env });

async function eventually<T>(read: () => Promise<T>, right: (value: T) => boolean): Promise<T> {
  const until = performance.now() + 20_000;
  for (;;) {
    const value = await read();
    if (right(value)) return value;
    assert.ok(performance.now() < until, `still ${JSON.stringify(value)}`);
    await sleep(50);
  }
}

const recordOf = async (instanceId: string): Promise<WorkerRecord | undefined> =>
  (await workers.get<WorkerRecord>(`vae-decode.${instanceId}`))?.value;

function stageClient(address: string) {
  const client = connectClient(v1.StageService, address);
  const call = <Res>(method: string, request: object = {}): Promise<Res> =>
    callUnary(client, method, request, { deadlineMs: 20_000 });
  return {
    open: (sessionId: string, avatar = 'mira') => call('open', { sessionId, decode: { avatar } }),
    closeSession: (sessionId: string) => call('close', { sessionId, reason: 'ended' }),
    call,
    [Symbol.dispose]: () => closeClient(client),
  };
}

describe('a running worker', () => {
  let service: ServiceProcess;
  let addresses: { grpcAddress: string; adminAddress: string; instanceId: string };
  before(async () => {
    service = start({ TALKMESH_CAPACITY: '2', TALKMESH_INSTANCE_ID: 'worker-1' });
    addresses = await service.ready();
  });
  after(() => service[Symbol.asyncDispose]());

  test('logs ready once, with its addresses and the fields of the service', () => {
    const lines = service.lines.filter(({ msg }) => msg === 'ready');
    assert.equal(lines.length, 1);
    assert.equal(lines[0]?.['extra'], 'fact');
    assert.equal(lines[0]?.['instanceId'], 'worker-1');
    assert.match(addresses.grpcAddress, /^127\.0\.0\.1:\d+$/);
  });

  test('serves StageService: describe, open, stats, close, limits', async () => {
    using stage = stageClient(addresses.grpcAddress);
    const [a, b] = [newSessionId(), newSessionId()];
    await Promise.all([stage.open(a), stage.open(a), stage.open(b)]);
    await assert.rejects(stage.open(newSessionId()), { reason: 'SESSION_LIMIT', retryAfterMs: 1000 });
    await assert.rejects(stage.open('../../etc'), { reason: 'SESSION_ID_INVALID' });
    await assert.rejects(stage.open(a, 'tom'), { reason: 'SESSION_EXISTS' });
    const expected = { service: 'vae-decode', instanceId: 'worker-1', version, state: 'WORKER_STATE_READY' };
    assert.deepEqual(await stage.call('describe'), { ...expected, sessions: 2, capacity: 2, model: 'nano@1' });
    const stats = await stage.call<{ sessions: { sessionId: string }[] }>('stats');
    assert.deepEqual(stats.sessions.map(({ sessionId }) => sessionId).sort(), [a, b].sort());
    assert.equal(
      (
        await eventually(
          () => recordOf('worker-1'),
          (record) => record?.sessions === 2,
        )
      )?.capacity,
      2,
    );
    await stage.closeSession(a);
    await stage.closeSession(b);
    await stage.closeSession(newSessionId());
    await eventually(
      () => recordOf('worker-1'),
      (record) => record?.sessions === 0,
    );
  });

  test('returns INTERNAL to the caller for an unknown error and logs it', async () => {
    using stage = stageClient(addresses.grpcAddress);
    await assert.rejects(stage.open(newSessionId(), 'bug'), { reason: 'INTERNAL', message: 'Internal error.' });
    const line = await service.waitForLine('call failed');
    assert.match(JSON.stringify(line['err']), /secret of the inside/);
  });

  test('is in the registry with everything that a gateway needs', async () => {
    assert.deepEqual(await recordOf('worker-1'), {
      service: 'vae-decode',
      instanceId: 'worker-1',
      grpcAddress: addresses.grpcAddress,
      version,
      state: 'ready',
      sessions: 0,
      capacity: 2,
      model: 'nano@1',
    });
  });

  test('refuses an Open for another instance that had its address before', async () => {
    using stage = stageClient(addresses.grpcAddress);
    const request = (instanceId: string) => ({ sessionId: newSessionId(), instanceId, decode: { avatar: 'mira' } });
    await assert.rejects(stage.call('open', request('worker-0')), { reason: 'PEER_LOST', message: /worker-1/ });
    const mine = request('worker-1');
    await stage.call('open', mine);
    await stage.call('open', { ...mine, takeOver: true, epoch: 3 });
    await stage.closeSession(mine.sessionId);
  });

  test('serves livez, readyz and metrics, and no other path', async () => {
    const get = (path: string, init?: RequestInit) => fetch(`http://${addresses.adminAddress}${path}`, init);
    assert.equal((await get('/livez')).status, 200);
    assert.deepEqual(await (await get('/readyz')).json(), { ready: true, state: 'READY', nats: true });
    assert.equal((await get('/other')).status, 404);
    assert.equal((await get('/metrics', { method: 'POST' })).status, 405);
    const text = await (await get('/metrics')).text();
    assert.match(text, /talkmesh_service_state\{state="READY"\} 1/);
    assert.match(text, /talkmesh_sessions_capacity 2/);
    assert.match(
      text,
      /talkmesh_rpc_seconds_count\{method="\/talkmesh.v1.StageService\/Open",code="RESOURCE_EXHAUSTED"\} 1/,
    );
  });

  test('reports health over gRPC, as a whole and per service, and reflects its services', async () => {
    const { health, reflectedServices } = await import('../test-fixtures/grpc-probes.js');
    assert.equal(await health(addresses.grpcAddress, ''), 'SERVING');
    assert.equal(await health(addresses.grpcAddress, 'talkmesh.v1.StageService'), 'SERVING');
    assert.deepEqual(await reflectedServices(addresses.grpcAddress), ['talkmesh.v1.StageService']);
  });

  test('drains by RPC: refuses new sessions, reports draining everywhere, and keeps its sessions', async () => {
    using stage = stageClient(addresses.grpcAddress);
    const { health } = await import('../test-fixtures/grpc-probes.js');
    const sessionId = newSessionId();
    await stage.open(sessionId);
    assert.deepEqual(await stage.call('drain', { deadlineMs: 50 }), { sessionsLeft: 1 });
    await assert.rejects(stage.open(newSessionId()), { reason: 'DRAINING', retryable: true });
    await eventually(
      () => recordOf('worker-1'),
      (record) => record?.state === 'draining',
    );
    assert.equal(await health(addresses.grpcAddress, ''), 'NOT_SERVING');
    assert.equal((await fetch(`http://${addresses.adminAddress}/readyz`)).status, 503);
    const drained = stage.call('drain', { deadlineMs: 20_000 });
    await stage.closeSession(sessionId);
    assert.deepEqual(await drained, { sessionsLeft: 0 });
    service.signal('SIGTERM');
    assert.equal(await service.exit(), 0);
    assert.equal(await recordOf('worker-1'), undefined);
  });
});

describe('shutdown', () => {
  test('at SIGTERM a running call completes, the remaining session is closed, and the exit code is 0', async () => {
    await using service = start({ FIXTURE_OPEN_MS: '1000', TALKMESH_DRAIN_DEADLINE_MS: '2500' });
    const { grpcAddress, instanceId } = await service.ready();
    using stage = stageClient(grpcAddress);
    const sessionId = newSessionId();
    const opening = stage.open(sessionId);
    await eventually(
      () => recordOf(instanceId),
      (record) => record !== undefined,
    );
    await sleep(200);
    service.signal('SIGTERM');
    await service.waitForLine('draining; a second signal exits at once');
    await opening;
    await eventually(
      () => recordOf(instanceId),
      (record) => record?.state === 'draining' && record.sessions === 1,
    );
    await assert.rejects(stage.open(newSessionId()), { reason: 'DRAINING' });
    assert.equal(await service.exit(), 0);
    assert.equal(service.line('fixture closed')?.['closed'], sessionId);
    assert.equal(service.line('fixture closed')?.['reason'], 'drain');
    assert.ok(service.line('fixture disposed'));
    assert.equal(service.lines.at(-1)?.['to'], 'STOPPED');
    assert.equal(await recordOf(instanceId), undefined);
  });

  test('a draining service exits as soon as its last session is closed', async () => {
    await using service = start({ TALKMESH_DRAIN_DEADLINE_MS: '600000' });
    const { grpcAddress } = await service.ready();
    using stage = stageClient(grpcAddress);
    const sessionId = newSessionId();
    await stage.open(sessionId);
    service.signal('SIGINT');
    await service.waitForLine('draining; a second signal exits at once');
    await stage.closeSession(sessionId);
    assert.equal(await service.exit(), 0);
  });

  test('a second signal does not wait for sessions and still cleans up', async () => {
    await using service = start({ TALKMESH_DRAIN_DEADLINE_MS: '600000' });
    const { grpcAddress } = await service.ready();
    using stage = stageClient(grpcAddress);
    await stage.open(newSessionId());
    service.signal('SIGTERM');
    await service.waitForLine('draining; a second signal exits at once');
    service.signal('SIGTERM');
    assert.equal(await service.exit(), 0);
    assert.ok(service.line('exiting at once'));
    assert.equal(service.line('fixture closed')?.['reason'], 'drain');
    assert.ok(service.line('fixture disposed'));
  });

  test('readyz includes the readiness of the service itself', async () => {
    for (const [missing, status] of [
      ['score-model', 503],
      ['', 200],
    ] as const) {
      await using service = start({ FIXTURE_MISSING: missing });
      const { adminAddress } = await service.ready();
      const answer = await fetch(`http://${adminAddress}/readyz`);
      assert.equal(answer.status, status);
      assert.deepEqual(await answer.json(), { ready: status === 200, state: 'READY', nats: true, missing });
    }
  });

  test('a second signal ends a service that hangs, with exit code 1', async () => {
    await using service = start({ FIXTURE_DISPOSE: 'hang' });
    await service.ready();
    service.signal('SIGTERM');
    await service.waitForLine('draining; a second signal exits at once');
    service.signal('SIGINT');
    assert.equal(await service.exit(), 1);
  });

  test('a signal during the start ends the service with exit code 0', async () => {
    await using service = start({ FIXTURE_START: 'slow' });
    await service.waitForLine('state');
    await sleep(500);
    service.signal('SIGTERM');
    assert.equal(await service.exit(), 0);
    assert.equal(service.line('ready'), undefined);
    assert.equal(service.stderr, '');
  });

  test('a service exits when its parent process has exited', async () => {
    const parent = spawn('sleep', ['600']);
    await using service = start({ TALKMESH_PARENT_PID: String(parent.pid) });
    await service.ready();
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    assert.equal(await service.exit(), 0);
    assert.ok(service.line('the parent process has exited, exiting too'));
  });
});

describe('failed start', () => {
  test('all configuration problems are reported at once, with exit code 78', async () => {
    await using service = start({ TALKMESH_GRPC_PORT: 'x', TALKMESH_CAPACITY: '0', TALKMESH_LOG_LEVEL: 'loud' });
    assert.equal(await service.exit(), 78);
    for (const name of ['GRPC_PORT', 'CAPACITY', 'LOG_LEVEL'])
      assert.match(service.stderr, new RegExp(`TALKMESH_${name}`));
    assert.doesNotMatch(service.stderr, /at .*\.ts/);
  });

  test('an invalid model exits with 78 and a remedy, a bug with 1 and its stack', async () => {
    await using invalid = start({ FIXTURE_START: 'model-invalid' });
    await using bug = start({ FIXTURE_START: 'crash' });
    assert.equal(await invalid.exit(), 78);
    assert.equal(invalid.stderr, 'vae-decode: decoder.onnx is missing: run npm run model\n');
    assert.equal(await bug.exit(), 1);
    assert.match(bug.stderr, /TypeError: a bug\n +at /);
    assert.ok(bug.lines.some((line) => line['to'] === 'FAILED'));
    assert.ok(bug.lines.some((line) => line.level === 'fatal'));
  });

  test('a port that is in use exits with 78 and names the variable', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    await using grpc = start({ TALKMESH_GRPC_PORT: String(port) });
    await using admin = start({ TALKMESH_ADMIN_PORT: String(port) });
    assert.equal(await grpc.exit(), 78);
    assert.match(grpc.stderr, /TALKMESH_GRPC_PORT/);
    assert.equal(await admin.exit(), 78);
    assert.match(admin.stderr, /TALKMESH_ADMIN_PORT/);
    taken.close();
  });

  test('without NATS the service retries, then exits with 1 and a remedy', async () => {
    await using service = start({ TALKMESH_NATS_URL: 'nats://user:hunter2@127.0.0.1:1' });
    assert.equal(await service.exit(), 1);
    assert.match(
      service.stderr,
      /no NATS server at nats:\/\/127\.0\.0\.1:1 within 10 s .*: start one with JetStream .* or set TALKMESH_NATS_URL/,
    );
    assert.doesNotMatch(service.stderr + JSON.stringify(service.lines), /hunter2/);
  });
});

test('at a restart of NATS readyz and health change, and the registry record is restored', async () => {
  await using own = await startNatsServer();
  await using service = start({ TALKMESH_NATS_URL: own.url, TALKMESH_INSTANCE_ID: 'survivor' });
  const { grpcAddress, adminAddress } = await service.ready();
  const { health } = await import('../test-fixtures/grpc-probes.js');
  const readyz = async () => (await fetch(`http://${adminAddress}/readyz`)).status;
  assert.equal(await readyz(), 200);
  await own.kill();
  await eventually(readyz, (status) => status === 503);
  assert.equal(await health(grpcAddress, ''), 'NOT_SERVING');
  assert.equal((await fetch(`http://${adminAddress}/livez`)).status, 200);
  await own.start();
  await eventually(readyz, (status) => status === 200);
  assert.equal(await health(grpcAddress, ''), 'SERVING');
  await using peer = await createTestContext('gateway', undefined, own.url);
  const bucket = await peer.bus.kv('talkmesh_workers', { ttlMs: 10_000 });
  await eventually(
    () => bucket.get('vae-decode.survivor'),
    (entry) => entry !== undefined,
  );
  service.signal('SIGTERM');
  assert.equal(await service.exit(), 0);
});

test('a shutdown without NATS still exits with 0', async () => {
  await using own = await startNatsServer();
  await using service = start({ TALKMESH_NATS_URL: own.url });
  await service.ready();
  await own.kill();
  await service.waitForLine('NATS connection lost, reconnecting');
  service.signal('SIGTERM');
  assert.equal(await service.exit(), 0);
});
