/** Webhooks of several gateways over a real NATS to a real receiver, while gateways, connections and NATS fail. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { type EventBody, MeshError, newSessionId, WEBHOOKS_BUCKET } from '@talkmesh/contracts';
import {
  createTestContext,
  moduleUrl,
  NatsProxy,
  type NatsServer,
  ServiceProcess,
  startNatsServer,
  type TestContext,
  until,
} from '@talkmesh/service-kit/testing';
import { API_KEY, FakeMesh } from '../testing/fake-mesh.js';
import { WebhookReceiver, webhookSecret } from '../testing/webhook-receiver.js';
import { DEFAULT_LIMITS, type WebhookLimits } from './bounds.js';
import { WEBHOOKS_TTL_MS, Webhooks, type WebhookTimes } from './webhooks.js';

const SECRET = webhookSecret(1);
/** A session that nothing is known of. */
const STRANGE = newSessionId();
const MAIN = moduleUrl('../main', import.meta.url);
const TIMES: Partial<WebhookTimes> = { reloadMs: 50, leaseMs: 600, retryMs: [100, 100, 100], removedMs: 200 };

let nats: NatsServer;
let receiver: WebhookReceiver;
let bridge: TestContext<object>;
/** A gateway without webhooks, which looks into the bucket. */
let onlooker: TestContext<object>;
let disposables: AsyncDisposable[] = [];
before(async () => {
  nats = await startNatsServer();
  bridge = await createTestContext('audio-llm-bridge', undefined, nats.url);
  await bridge.retain();
  onlooker = await createTestContext('gateway', undefined, nats.url);
});
beforeEach(async () => {
  receiver = await WebhookReceiver.start();
  receiver.write([{ owner: 'shop', url: receiver.url(), secrets: [SECRET] }]);
});
afterEach(async () => {
  for (const disposable of disposables.reverse()) await disposable[Symbol.asyncDispose]();
  disposables = [];
  await receiver[Symbol.asyncDispose]();
  const bucket = await bucketOf(onlooker);
  for (const { key } of await bucket.scan()) await bucket.erase(key);
});
after(async () => {
  await onlooker[Symbol.asyncDispose]();
  await bridge[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
});

interface Gateway {
  readonly webhooks: Webhooks;
  readonly context: TestContext<object>;
  readonly instanceId: string;
  /** Value of one sample; 0 when there is none. */
  metric(sample: string): Promise<number>;
}

async function gateway(
  options: { natsUrl?: string; limits?: Partial<WebhookLimits>; times?: Partial<WebhookTimes> } = {},
): Promise<Gateway> {
  const context = await createTestContext('gateway', undefined, options.natsUrl ?? nats.url);
  await context.retain();
  const { bus, log, metrics, config } = context;
  const webhooks = new Webhooks({
    ...{ webhooksFile: receiver.file, webhookNetworks: ['loopback'], bus, log, metrics },
    bucket: await bucketOf(context),
    from: await bus.endOf('event'),
    instanceId: config.instanceId,
    ownerOf: async (id) => {
      if (id === STRANGE) throw new MeshError('SESSION_NOT_FOUND', 'there is no such session');
      return 'shop';
    },
    limits: { ...DEFAULT_LIMITS, ...options.limits },
    times: { ...TIMES, ...options.times },
  });
  disposables.push({
    async [Symbol.asyncDispose]() {
      await webhooks.stop();
      await context[Symbol.asyncDispose]();
    },
  });
  const metric = async (sample: string): Promise<number> => {
    const lines = (await metrics.registry.metrics()).split('\n');
    return Number(lines.find((line) => line.startsWith(`${sample} `))?.slice(sample.length + 1) ?? 0);
  };
  return { webhooks, context, instanceId: config.instanceId, metric };
}

const outcome = (name: string, reason = ''): string => `talkmesh_webhooks_total{outcome="${name}",reason="${reason}"}`;
const dropped = (reason: string): string => outcome('dropped', reason);

const tell = (sessionId: string, turn: number, body: EventBody = { type: 'turn.cancelled' }): void =>
  bridge.bus.publishEvent({ sessionId, epoch: 0, turn, ...body });
const messages = (path?: string) => receiver.messages(SECRET, path);
const turns = (sessionId: string, path?: string): unknown[] =>
  messages(path).flatMap(({ data }) => (data.sessionId === sessionId ? [data['turn']] : []));
const bucketOf = ({ bus }: TestContext<object>) => bus.kv(WEBHOOKS_BUCKET, { ttlMs: WEBHOOKS_TTL_MS });
/** How many records of deliveries are in NATS. */
async function stored(): Promise<number> {
  return (await (await bucketOf(onlooker)).scan()).filter(({ key }) => key !== 'sender').length;
}

test('of several gateways one sends, each report once and in order; when it stops, another goes on', async () => {
  const gateways = [await gateway(), await gateway(), await gateway()];
  const sessions = [newSessionId(), newSessionId()];
  let turn = 0;
  for (const { webhooks } of gateways) {
    for (let i = 0; i < 20; i++, turn++) for (const id of sessions) tell(id, turn);
    await until('the reports', () => receiver.received.length === 2 * turn);
    if (webhooks !== gateways.at(-1)?.webhooks) await webhooks.stop();
  }
  const expected = Array.from({ length: turn }, (_, i) => i);
  for (const id of sessions) assert.deepEqual(turns(id), expected);
  assert.equal(new Set(messages().map(({ id }) => id)).size, 2 * turn);
  const counted = await Promise.all(gateways.map(({ metric }) => metric(outcome('delivered'))));
  assert.equal(
    counted.reduce((sum, count) => sum + count),
    2 * turn,
  );
  await until('nothing left', async () => (await stored()) === 0);
});

test('a report that waits for a repetition is repeated by the next gateway, with the same id and the attempts it had', async () => {
  receiver.answer = () => 503;
  const first = await gateway({ times: { retryMs: [100, 3_600_000] } });
  const id = newSessionId();
  tell(id, 1);
  tell(id, 2);
  await until('two attempts', () => receiver.received.length === 2);
  await until('the record', async () => (await stored()) === 2);
  await first.webhooks.stop();
  assert.equal(await stored(), 2, 'it leaves them');
  const next = await gateway({ times: { retryMs: [100, 100] } });
  await until('its attempts', () => receiver.received.length === 6);
  await until('the end', async () => (await stored()) === 0);
  // The first report has one attempt left, the second all three.
  assert.deepEqual(turns(id), [1, 1, 1, 2, 2, 2]);
  assert.equal(new Set(messages().map((message) => message.id)).size, 2);
  assert.equal(await next.metric(outcome('given-up')), 2);
  assert.equal(await first.metric(outcome('given-up')), 0);
});

test('events that came while there was no gateway are reported, also when the former one had reported none', async () => {
  const first = await gateway();
  await until('the lease', async () => (await (await bucketOf(onlooker)).get('sender')) !== undefined);
  await first.webhooks.stop();
  const id = newSessionId();
  tell(id, 1);
  await bridge.bus.flush();
  await gateway();
  await until('the report', () => receiver.received.length === 1);
  assert.deepEqual(turns(id), [1]);
});

test('a gateway that is cut off from NATS sends no more, and another goes on', async () => {
  await using proxy = await NatsProxy.start(nats.url);
  const away = await gateway({ natsUrl: proxy.url, times: { retryMs: Array(100).fill(50) } });
  const id = newSessionId();
  receiver.answer = () => 503;
  tell(id, 1);
  await until('an attempt', () => receiver.received.length > 0);
  const other = await gateway();
  proxy.cut(away.instanceId);
  await until('the other to send', async () => (await other.metric('talkmesh_webhooks_waiting')) === 1);
  assert.equal(await away.metric('talkmesh_webhooks_waiting'), 0);
  receiver.answer = () => 200;
  tell(id, 2);
  await until('the rest', () => turns(id).at(-1) === 2);
  proxy.heal(away.instanceId);
  await until('the connection', () => away.context.bus.connected);
  tell(id, 3);
  await until('the last', () => turns(id).at(-1) === 3);
  await until('nothing left', async () => (await stored()) === 0);
  assert.deepEqual(await Promise.all([away, other].map(({ metric }) => metric(outcome('delivered')))), [0, 3]);
});

test('a restart of NATS, which empties its memory, costs no report that a gateway knows', async () => {
  const { context, metric } = await gateway({ times: { retryMs: Array(1000).fill(100) } });
  const id = newSessionId();
  receiver.answer = () => 503;
  tell(id, 1);
  tell(id, 2);
  await until('attempts', () => receiver.received.length > 1);
  await until('both to be accepted', async () => (await metric('talkmesh_webhooks_waiting')) === 2);
  await nats.kill();
  await nats.start();
  for (const { bus } of [context, bridge, onlooker]) await until('the connection', () => bus.connected);
  await until('what waits to be restored', async () => (await stored()) === 2);
  tell(id, 3);
  receiver.answer = () => 200;
  await until('all', () => turns(id).at(-1) === 3);
  await until('nothing left', async () => (await stored()) === 0);
  assert.deepEqual([...new Set(turns(id))], [1, 2, 3]);
  assert.equal(new Set(messages().map((message) => message.id)).size, 3);
  assert.equal(await metric(outcome('delivered')), 3);
});

test('what waits for a receiver that is taken out of the file is dropped and counted; one that comes back in time loses nothing', async () => {
  const paths = ['/hook', '/gone', '/back'];
  const entries = (...wanted: string[]) =>
    wanted.map((path) => ({ owner: 'shop', url: receiver.url(path), secrets: [SECRET] }));
  receiver.write(entries(...paths));
  receiver.answer = () => 503;
  const { metric } = await gateway({ times: { removedMs: 1500, retryMs: Array(1000).fill(50) } });
  const id = newSessionId();
  for (const turn of [1, 2, 3]) tell(id, turn);
  await until('all to wait', async () => (await metric('talkmesh_webhooks_waiting')) === 9);
  receiver.write(entries('/hook'));
  await until('an end of attempts', async () => {
    const before = receiver.received.filter(({ path }) => path !== '/hook').length;
    await new Promise((resolve) => setTimeout(resolve, 300));
    return receiver.received.filter(({ path }) => path !== '/hook').length === before;
  });
  receiver.write(entries('/hook', '/back'));
  await until('the drop', async () => (await metric(dropped('removed'))) === 3);
  receiver.answer = () => 200;
  await until('the rest', async () => (await metric(outcome('delivered'))) === 6);
  await until('nothing left', async () => (await stored()) === 0);
  assert.deepEqual([...new Set(turns(id, '/back'))], [1, 2, 3]);
});

test('what is too much is dropped as it comes: by count and by bytes, and it is counted', async () => {
  receiver.answer = () => 'hang';
  const { metric } = await gateway({ limits: { perSession: 4, bytesPerEndpoint: 3000 } });
  const id = newSessionId();
  for (let turn = 0; turn < 10; turn++) tell(id, turn);
  await until('the drops', async () => (await metric(dropped('count'))) === 6);
  tell(newSessionId(), 0, { type: 'error', service: 'x', reason: 'y', message: 'z'.repeat(900) });
  tell(newSessionId(), 0, { type: 'error', service: 'x', reason: 'y', message: 'z'.repeat(900) });
  await until('the drop', async () => (await metric(dropped('bytes'))) === 1);
  assert.equal(await stored(), 5);
  assert.equal(await metric('talkmesh_webhooks_waiting'), 5);
});

test('what has waited for too long is dropped for its age', async () => {
  receiver.answer = () => 503;
  const { metric } = await gateway({ times: { maxAgeMs: 500, retryMs: Array(100).fill(100) } });
  tell(newSessionId(), 1);
  await until('the drop', async () => (await metric(dropped('age'))) === 1);
  await until('nothing left', async () => (await stored()) === 0);
});

for (const answer of ['hang', 503] as const)
  test(`a receiver that answers with ${answer} delays no other one of the same events`, async () => {
    receiver.write(['/poison', '/hook'].map((path) => ({ owner: 'shop', url: receiver.url(path), secrets: [SECRET] })));
    receiver.answer = ({ path }) => (path === '/poison' ? answer : 200);
    const { metric } = await gateway({ times: { retryMs: Array(100).fill(3_600_000) } });
    const sessions = Array.from({ length: 50 }, newSessionId);
    for (const turn of [1, 2, 3]) for (const id of sessions) tell(id, turn);
    await until('all of the other', async () => (await metric(outcome('delivered'))) === 150);
    for (const id of sessions) assert.deepEqual(turns(id, '/hook'), [1, 2, 3]);
    assert.equal(await metric('talkmesh_webhooks_waiting'), 150);
    receiver.write([{ owner: 'shop', url: receiver.url('/hook'), secrets: [SECRET] }]);
    await until('the drop', async () => (await metric(dropped('removed'))) === 150);
  });

test('an event of a session that nothing is known of is dropped and counted, and holds up nothing', async () => {
  const { metric } = await gateway();
  const id = newSessionId();
  tell(STRANGE, 1);
  tell(id, 1);
  await until('the other', () => turns(id).length === 1);
  assert.equal(await metric(dropped('unknown-session')), 1);
});

/** Gateways as in production: processes. That of the mesh has no webhooks. */
test('a gateway that is killed between accepting a report and its delivery: the one beside it, then the next, sends it', async () => {
  await using mesh = await FakeMesh.start({ TALKMESH_API_KEYS: `shop:${API_KEY}` });
  const env = {
    TALKMESH_NATS_URL: mesh.nats.url,
    TALKMESH_MODEL: mesh.modelFolder,
    ...{ TALKMESH_HTTP_PORT: '0', TALKMESH_GRPC_PORT: '0', TALKMESH_ADMIN_PORT: '0', TALKMESH_LOG_PRETTY: 'false' },
    TALKMESH_API_KEYS: `shop:${API_KEY}`,
    TALKMESH_TOKEN_SECRET: 'a secret of the test, thirty-two bytes or more',
    TALKMESH_WEBHOOKS_FILE: receiver.file,
    TALKMESH_WEBHOOK_NETWORKS: 'loopback',
  };
  const SENDS = 'this gateway sends the webhooks now';
  const start = (): Promise<ServiceProcess> => ServiceProcess.start(MAIN, env);
  const publish = (turn: number): void =>
    mesh.workers['audio-llm-bridge'].bus.publishEvent({ sessionId: session, epoch: 0, turn, type: 'turn.cancelled' });

  await using first = await start();
  await first.waitForLine(SENDS);
  await using second = await start();
  const { session } = await mesh.session();
  await until('the report of the begin', () => receiver.received.length === 1);
  receiver.answer = () => 'hang';
  publish(1);
  await until('an attempt', () => receiver.received.length === 2);
  first.signal('SIGKILL');
  await first.exit();
  receiver.answer = () => 200;
  publish(2);
  await second.waitForLine(SENDS);
  await until('both', () => turns(session).at(-1) === 2);
  assert.deepEqual(turns(session), [0, 1, 1, 2]);

  receiver.answer = () => 503;
  publish(3);
  await until('an attempt of the second', () => receiver.received.length === 5);
  second.signal('SIGKILL');
  await second.exit();
  // While there is no gateway that sends.
  publish(4);
  receiver.answer = () => 200;
  await using third = await start();
  await third.waitForLine(SENDS);
  await until('all', () => turns(session).at(-1) === 4);
  assert.deepEqual([...new Set(turns(session))], [0, 1, 2, 3, 4]);
  assert.equal(new Set(messages().map(({ id }) => id)).size, 5);
  assert.equal(await third.metric('talkmesh_webhooks_total{outcome="delivered",reason=""}'), 2);

  // It has webhooks, so it leaves the events of an ended session to the one that sends, which is itself.
  const { httpAddress } = third.line('ready') as unknown as { httpAddress: string };
  const bearer = { authorization: `Bearer ${API_KEY}` };
  await fetch(`${httpAddress}/v1/sessions/${session}`, { method: 'DELETE', headers: bearer });
  await until('the end', () => messages().at(-1)?.type === 'session.ended');
  const { bus } = mesh.gateway.context;
  await until('no events left', async () => (await bus.readBack('event', session, { deadlineMs: 5000 })).length === 0);
});
