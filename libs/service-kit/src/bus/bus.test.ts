import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { MeshError, type MeshEvent, newSessionId, subjectOf } from '@talkmesh/contracts';
import { createTestContext, type NatsServer, startNatsServer, type TestContext } from '../testing/index.js';
import { waitUntil } from '../waiting.js';

let nats: NatsServer;
let score: TestContext<object>;
let vae: TestContext<object>;
let raw: NatsConnection;

before(async () => {
  nats = await startNatsServer();
  score = await createTestContext('score-model', undefined, nats.url);
  vae = await createTestContext('vae-decode', undefined, nats.url);
  raw = await connect({ servers: nats.url });
});
after(async () => {
  await raw.close();
  await score[Symbol.asyncDispose]();
  await vae[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
});

const rejected = async (context: TestContext<object>, stream: string, reason: string): Promise<number> => {
  const metric = await context.metrics.registry.getSingleMetric('talkmesh_message_rejected_total')?.get();
  return metric?.values.find(({ labels }) => labels['stream'] === stream && labels['reason'] === reason)?.value ?? 0;
};

async function seen(condition: () => boolean): Promise<void> {
  assert.ok(await waitUntil(condition, 10_000), 'the condition did not become true in time');
}

/** After the round trip of a flush, the server has registered the subscription. */
const subscribed = () => vae.bus.flush();

test('messages arrive in order, as copies, with the instance id of the sender in the headers', async () => {
  const sessionId = newSessionId();
  const got: Uint8Array[] = [];
  const senders = new Set<string | undefined>();
  const subscription = vae.bus.subscribe('latent', sessionId, (payload, { headers, subject }) => {
    got.push(payload);
    senders.add(headers?.get('tm-instance'));
    assert.equal(subject, subjectOf(sessionId, 'latent'));
  });
  await subscribed();
  for (let i = 0; i < 100; i++) score.bus.publish('latent', sessionId, new Uint8Array(1000).fill(i));
  await seen(() => got.length === 100);
  assert.deepEqual([...senders], [score.config['instanceId' as never]]);
  got.forEach((payload, i) => {
    assert.equal(payload.byteOffset, 0);
    assert.equal(payload.buffer.byteLength, 1000);
    assert.ok(payload.every((byte) => byte === i));
  });
  subscription.unsubscribe();
  await subscribed();
  score.bus.publish('latent', sessionId, new Uint8Array(1));
  await score.bus.flush();
  await subscribed();
  assert.equal(got.length, 100);
});

test('using a stream that the pipeline table does not list for the service throws', () => {
  const sessionId = newSessionId();
  const denied = (error: unknown) => error instanceof MeshError && error.reason === 'PERMISSION_DENIED';
  assert.throws(() => score.bus.publish('frame', sessionId, new Uint8Array(1)), denied);
  assert.throws(() => score.bus.subscribe('mic', sessionId, () => undefined), denied);
  assert.throws(() => score.bus.subscribeAll('latent', () => undefined), denied);
  assert.throws(() => vae.bus.publish('playhead', sessionId, new Uint8Array(1)), denied);
});

test('an invalid session id is refused before it becomes part of a subject', () => {
  for (const sessionId of ['*', '>', 'a.b', '', newSessionId().slice(1)])
    assert.throws(() => score.bus.publish('latent', sessionId, new Uint8Array(1)), { reason: 'SESSION_ID_INVALID' });
  assert.throws(() => vae.bus.subscribeEvents('*', () => undefined), { reason: 'SESSION_ID_INVALID' });
});

test('an error of a handler is counted and does not end its subscription', async () => {
  const sessionId = newSessionId();
  let calls = 0;
  const subscription = vae.bus.subscribe('latent', sessionId, () => {
    calls++;
    if (calls === 1) throw new Error('a bug');
    if (calls === 2) throw new MeshError('MESSAGE_MALFORMED', 'no header');
    if (calls === 3) return Promise.reject(new Error('an async bug')) as never;
  });
  await subscribed();
  for (let i = 0; i < 4; i++) score.bus.publish('latent', sessionId, new Uint8Array(1));
  await seen(() => calls === 4);
  await sleep(10);
  assert.equal(await rejected(vae, 'latent', 'HANDLER_FAILED'), 2);
  assert.equal(await rejected(vae, 'latent', 'MESSAGE_MALFORMED'), 1);
  subscription.unsubscribe();
});

test('a message of another version is logged once a stream, not with every message', async () => {
  const lines: string[] = [];
  await using decoder = await createTestContext('vae-decode', undefined, nats.url, (line) => lines.push(line));
  const sessionId = newSessionId();
  let calls = 0;
  decoder.bus.subscribe('latent', sessionId, () => {
    calls += 1;
    throw new MeshError('MESSAGE_VERSION', 'latent message version 2 is not supported, only 3');
  });
  await decoder.bus.flush();
  for (let i = 0; i < 3; i++) score.bus.publish('latent', sessionId, new Uint8Array(1));
  await seen(() => calls === 3);
  await sleep(10);
  assert.equal(lines.filter((line) => line.includes('update all services to one version')).length, 1);
  assert.equal(await rejected(decoder, 'latent', 'MESSAGE_VERSION'), 3);
});

test('malformed events and events of another session are counted and dropped', async () => {
  const sessionId = newSessionId();
  const events: MeshEvent[] = [];
  const subscription = vae.bus.subscribeEvents(sessionId, (event) => events.push(event));
  await subscribed();
  const subject = subjectOf(sessionId, 'event');
  raw.publish(subject, 'not json');
  raw.publish(subject, JSON.stringify({ v: 9 }));
  raw.publish(
    subject,
    JSON.stringify({ v: 2, sessionId: newSessionId(), epoch: 0, turn: 0, atMs: 1, type: 'speech.started' }),
  );
  raw.publish(subject, new Uint8Array(20_000));
  await raw.flush();
  score.bus.publishEvent({ type: 'flush', fromChunk: 3, cause: 'interrupt', sessionId, epoch: 2, turn: 1 });
  await seen(() => events.length > 0);
  assert.equal(events.length, 1);
  const [event] = events;
  assert.ok(event?.type === 'flush' && event.fromChunk === 3 && event.epoch === 2 && event.v === 2 && event.atMs > 0);
  assert.equal(await rejected(vae, 'event', 'MESSAGE_MALFORMED'), 3);
  assert.equal(await rejected(vae, 'event', 'MESSAGE_VERSION'), 1);
  subscription.unsubscribe();
});

test('a queue group receives each message once', async () => {
  const gateways = await Promise.all([1, 2].map(() => createTestContext('gateway', undefined, nats.url)));
  const got: number[] = [];
  gateways.forEach((gateway, i) => {
    gateway.bus.subscribeAll('event', () => void got.push(i), { queue: 'gateways' });
  });
  await Promise.all(gateways.map((gateway) => gateway.bus.flush()));
  for (let i = 0; i < 50; i++)
    score.bus.publishEvent({ type: 'speech.started', sessionId: newSessionId(), epoch: 0, turn: 0 });
  await seen(() => got.length >= 50);
  await Promise.all(gateways.map((gateway) => gateway.bus.flush()));
  assert.equal(got.length, 50);
  for (const gateway of gateways) await gateway[Symbol.asyncDispose]();
});

test('messages and bytes are counted by stream and direction', async () => {
  const metric = await score.metrics.registry.getSingleMetric('talkmesh_message_bytes_total')?.get();
  const out = metric?.values.find(({ labels }) => labels['stream'] === 'latent' && labels['direction'] === 'out');
  assert.equal(out?.value, 100 * 1000 + 1 + 4 + 3);
});
