import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { newSessionId, RETENTION } from '@talkmesh/contracts';
import type { BaseConfig } from '../config.js';
import { createTestContext, type NatsServer, startNatsServer, type TestContext } from '../testing/index.js';
import { until } from '../testing/until.js';
import { waitUntil } from '../waiting.js';
import { INSTANCE_HEADER } from './bus.js';
import type { RetainedMessage } from './retention.js';

const WITHIN = { deadlineMs: 10_000 };
let nats: NatsServer;
let bridge: TestContext<BaseConfig>;
let score: TestContext<object>;
let raw: NatsConnection;

before(async () => {
  nats = await startNatsServer();
  bridge = await createTestContext('audio-llm-bridge', undefined, nats.url);
  score = await createTestContext('score-model', undefined, nats.url);
  raw = await connect({ servers: nats.url, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
});
after(async () => {
  await raw.close();
  await bridge[Symbol.asyncDispose]();
  await score[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
});

const bytes = (...values: number[]): Uint8Array => Uint8Array.of(...values);
const first = (payloads: readonly { payload: Uint8Array }[]): (number | undefined)[] =>
  payloads.map(({ payload }) => payload[0]);

test('reading back without streams returns nothing and does not fail', async () => {
  assert.deepEqual(await score.bus.readBack('speech', newSessionId(), WITHIN), []);
});

test('several services can create the streams at the same time; messages are retained per session, in order, with time and sequence', async () => {
  await Promise.all([bridge.retain(), score.retain(), bridge.retain()]);
  const [mine, other] = [newSessionId(), newSessionId()];
  for (let i = 0; i < 40; i++) bridge.bus.publish('speech', i % 2 === 0 ? mine : other, bytes(i));
  await bridge.bus.flush();
  const kept = await score.bus.readBack('speech', mine, WITHIN);
  assert.deepEqual(
    first(kept),
    Array.from({ length: 20 }, (_, i) => 2 * i),
  );
  assert.ok(kept.every(({ atMs }) => Math.abs(atMs - Date.now()) < 60_000));
  const senderOf = ({ headers }: RetainedMessage) => headers?.get(INSTANCE_HEADER);
  assert.deepEqual(new Set(kept.map(senderOf)), new Set([bridge.config.instanceId]), 'with the headers of its sender');
  const from = kept[15]?.sequence as number;
  assert.deepEqual(
    first(await score.bus.readBack('speech', mine, { ...WITHIN, fromSequence: from })),
    [30, 32, 34, 36, 38],
  );
  const last = kept.at(-1)?.sequence as number;
  const newest = await score.bus.readBack('speech', mine, { ...WITHIN, fromSequence: last });
  assert.deepEqual([first(newest), newest.map(senderOf)], [[38], [bridge.config.instanceId]]);
  assert.deepEqual(await score.bus.readBack('speech', mine, { ...WITHIN, fromSequence: last + 1 }), []);
  assert.deepEqual(await score.bus.readBack('speech', newSessionId(), WITHIN), []);
});

test('the newest messages of each session are retained: latents up to their bound, of the playhead only the last', async () => {
  const [busy, quiet] = [newSessionId(), newSessionId()];
  score.bus.publish('latent', quiet, bytes(7));
  const bound = RETENTION.latent.perSession;
  for (let i = 0; i < bound + 9; i++) score.bus.publish('latent', busy, bytes(i));
  await score.bus.flush();
  assert.deepEqual(
    first(await score.bus.readBack('latent', busy, WITHIN)),
    Array.from({ length: bound }, (_, i) => i + 9),
  );
  assert.deepEqual(
    first(await score.bus.readBack('latent', quiet, WITHIN)),
    [7],
    'a busy session does not displace the messages of another',
  );
  await using egress = await createTestContext('webrtc-egress', undefined, nats.url);
  for (let i = 0; i < 5; i++) egress.bus.publish('playhead', busy, bytes(i));
  await egress.bus.flush();
  assert.deepEqual(first(await score.bus.readBack('playhead', busy, WITHIN)), [4]);
});

test('deleteRetained deletes the messages of one session only', async () => {
  const [ended, going] = [newSessionId(), newSessionId()];
  for (const sessionId of [ended, going]) {
    bridge.bus.publish('speech', sessionId, bytes(1));
    score.bus.publish('latent', sessionId, bytes(2));
    bridge.bus.publishEvent({ type: 'viewer.connected', sessionId, epoch: 0, turn: 0 });
  }
  await Promise.all([bridge.bus.flush(), score.bus.flush()]);
  await using gateway = await createTestContext('gateway', undefined, nats.url);
  await gateway.bus.deleteRetained(ended);
  for (const stream of ['speech', 'latent', 'event'] as const) {
    assert.deepEqual(await score.bus.readBack(stream, ended, WITHIN), []);
    assert.equal((await score.bus.readBack(stream, going, WITHIN)).length, 1);
  }
});

test('only streams that the pipeline table allows can be read back', async () => {
  await assert.rejects(bridge.bus.readBack('latent', newSessionId(), WITHIN), { reason: 'PERMISSION_DENIED' });
  await assert.rejects(score.bus.readBack('speech', '*', WITHIN), { reason: 'SESSION_ID_INVALID' });
});

test('streams are in memory, bounded in bytes, and do not acknowledge messages', async () => {
  const manager = await jetstreamManager(raw);
  for (const { name, subject, share, perSession } of Object.values(RETENTION)) {
    const { config } = await manager.streams.info(name);
    assert.deepEqual(config.subjects, [subject]);
    assert.equal(config.storage, 'memory');
    assert.equal(config.discard, 'old');
    assert.equal(config.no_ack, true);
    assert.equal(config.max_msgs_per_subject, perSession);
    assert.equal(config.max_bytes, Math.round(256 * 2 ** 20 * share));
  }
});

test('reading back leaves no consumer behind', async () => {
  const manager = await jetstreamManager(raw);
  const consumers = async (): Promise<number> => (await manager.streams.info('talkmesh_speech')).state.consumer_count;
  await until('no consumer', async () => (await consumers()) === 0);
});

test('after a restart of the server the streams are created before the reconnect listeners run', async () => {
  const sessionId = newSessionId();
  bridge.bus.publish('speech', sessionId, bytes(1));
  await bridge.bus.flush();
  assert.equal((await score.bus.readBack('speech', sessionId, WITHIN)).length, 1);
  let reconnects = 0;
  const subscription = bridge.bus.onReconnect(() => {
    reconnects += 1;
    bridge.bus.publish('speech', sessionId, bytes(2));
  });
  await nats.kill();
  assert.ok(await waitUntil(() => !score.bus.connected && !bridge.bus.connected, 10_000));
  await assert.rejects(score.bus.readBack('speech', sessionId, WITHIN), { reason: 'NATS_UNAVAILABLE' });
  await nats.start();
  assert.ok(await waitUntil(() => reconnects === 1 && score.bus.connected, 20_000));
  subscription.unsubscribe();
  await bridge.bus.flush();
  const kept = await score.bus.readBack('speech', sessionId, WITHIN);
  assert.deepEqual(
    first(kept),
    [2],
    'what the listener published is retained, what was retained before the restart is lost',
  );
});
