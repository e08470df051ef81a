/** A cluster of three servers, of which one dies: TALKMESH_NATS_REPLICAS=3 keeps records and retained messages. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { newSessionId } from '@talkmesh/contracts';
import { createTestContext, type NatsServer, startNatsServer, type TestContext } from '../testing/index.js';

const SERVERS = 3;
const LOG_DEADLINE_MS = 60_000;

async function freePorts(count: number): Promise<number[]> {
  const sockets = await Promise.all(
    Array.from({ length: count }, async () => {
      const socket = createServer().listen(0, '127.0.0.1');
      await once(socket, 'listening');
      return socket;
    }),
  );
  const ports = sockets.map((socket) => (socket.address() as AddressInfo).port);
  for (const socket of sockets) socket.close();
  return ports;
}

const ports = await freePorts(SERVERS);
const routes = ports.map((port) => `nats://127.0.0.1:${port}`).join(', ');
const configOf = (index: number): string =>
  `server_name: n${index}\ncluster { name: test, listen: "127.0.0.1:${ports[index]}", routes: [${routes}] }`;
const servers: NatsServer[] = await Promise.all(ports.map((_, index) => startNatsServer({ config: configOf(index) })));
after(() => Promise.all(servers.map((server) => server[Symbol.asyncDispose]())));

/** Repeats what fails while the servers elect a leader. */
async function eventually<T>(action: () => Promise<T>): Promise<T> {
  for (const until = Date.now() + LOG_DEADLINE_MS; ; await sleep(200)) {
    try {
      return await action();
    } catch (error) {
      if (Date.now() > until) throw error;
    }
  }
}

test('records and retained messages survive the server that leads them', { timeout: 180_000 }, async () => {
  const urls = servers.map(({ url }) => url).join(',');
  const settings = { natsReplicas: SERVERS };
  const contextOf = (service: 'gateway' | 'score-model'): Promise<TestContext<object>> =>
    createTestContext(service, settings, urls);
  await using gateway = await contextOf('gateway');
  await using score = await contextOf('score-model');
  const bucket = await eventually(() => gateway.bus.kv('talkmesh_sessions', { ttlMs: 600_000 }));
  await eventually(() => bucket.put('session', { placement: 'here' }));
  const sessionId = newSessionId();
  const kept = async (): Promise<number[]> => {
    const messages = await score.bus.readBack('latent', sessionId, { deadlineMs: 10_000 });
    return messages.map(({ payload }) => payload[0] ?? -1);
  };
  await eventually(async () => {
    await score.retain();
    score.bus.publish('latent', sessionId, Uint8Array.of(7));
    await score.bus.flush();
    assert.ok((await kept()).length > 0);
  });
  const before = await kept();

  const raw = await connect({ servers: urls.split(',') });
  const { config, cluster } = await (await jetstreamManager(raw)).streams.info('KV_talkmesh_sessions');
  await raw.close();
  assert.equal(config.num_replicas, SERVERS);
  const leader = Number(cluster?.leader?.slice(1));
  await (servers[leader] as NatsServer).kill();

  assert.deepEqual(await eventually(async () => (await bucket.get('session'))?.value), { placement: 'here' });
  await eventually(() => bucket.put('session', { placement: 'there' }));
  await eventually(async () => assert.deepEqual(await kept(), before));
});
