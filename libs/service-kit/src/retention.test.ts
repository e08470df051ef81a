import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { newSessionId, RETENTION } from '@talkmesh/contracts';
import { createTestContext, type NatsServer, startNatsServer, type TestContext } from './testing/index.js';
import { waitUntil } from './waiting.js';

const WITHIN = { deadlineMs: 10_000 };
let nats: NatsServer;
let bridge: TestContext<object>;
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

test('nothing is retained before the streams are there, and that is no error', async () => {
  assert.deepEqual(await score.bus.recall('speech', newSessionId(), WITHIN), []);
});

test('many make the streams at once; messages are retained in order, per session, with time and sequence', async () => {
  await Promise.all([bridge.retain(), score.retain(), bridge.retain()]);
  const [mine, other] = [newSessionId(), newSessionId()];
  for (let i = 0; i < 40; i++) bridge.bus.publish('speech', i % 2 === 0 ? mine : other, bytes(i));
  await bridge.bus.flush();
  const kept = await score.bus.recall('speech', mine, WITHIN);
  assert.deepEqual(
    first(kept),
    Array.from({ length: 20 }, (_, i) => 2 * i),
  );
  assert.ok(kept.every(({ atMs }) => Math.abs(atMs - Date.now()) < 60_000));
  const from = kept[15]?.sequence as number;
  assert.deepEqual(
    first(await score.bus.recall('speech', mine, { ...WITHIN, fromSequence: from })),
    [30, 32, 34, 36, 38],
  );
  const last = kept.at(-1)?.sequence as number;
  assert.deepEqual(first(await score.bus.recall('speech', mine, { ...WITHIN, fromSequence: last })), [38]);
  assert.deepEqual(await score.bus.recall('speech', mine, { ...WITHIN, fromSequence: last + 1 }), []);
  assert.deepEqual(await score.bus.recall('speech', newSessionId(), WITHIN), []);
});

test('of each session the newest stay: latents up to their bound, of the playhead the last', async () => {
  const [busy, quiet] = [newSessionId(), newSessionId()];
  score.bus.publish('latent', quiet, bytes(7));
  const bound = RETENTION.latent.perSession;
  for (let i = 0; i < bound + 9; i++) score.bus.publish('latent', busy, bytes(i));
  await score.bus.flush();
  assert.deepEqual(
    first(await score.bus.recall('latent', busy, WITHIN)),
    Array.from({ length: bound }, (_, i) => i + 9),
  );
  assert.deepEqual(first(await score.bus.recall('latent', quiet, WITHIN)), [7], 'a busy session costs no other');
  await using egress = await createTestContext('webrtc-egress', undefined, nats.url);
  for (let i = 0; i < 5; i++) egress.bus.publish('playhead', busy, bytes(i));
  await egress.bus.flush();
  assert.deepEqual(first(await score.bus.recall('playhead', busy, WITHIN)), [4]);
});

test('an ended session is forgotten, the others are not', async () => {
  const [ended, going] = [newSessionId(), newSessionId()];
  for (const sid of [ended, going]) {
    bridge.bus.publish('speech', sid, bytes(1));
    score.bus.publish('latent', sid, bytes(2));
    bridge.bus.publishEvent({ type: 'viewer.connected', sid, epoch: 0, turn: 0 });
  }
  await Promise.all([bridge.bus.flush(), score.bus.flush()]);
  await using gateway = await createTestContext('gateway', undefined, nats.url);
  await gateway.bus.forgetRetained(ended);
  for (const stream of ['speech', 'latent', 'event'] as const) {
    assert.deepEqual(await score.bus.recall(stream, ended, WITHIN), []);
    assert.equal((await score.bus.recall(stream, going, WITHIN)).length, 1);
  }
});

test('only what the pipeline table allows is recalled', async () => {
  await assert.rejects(bridge.bus.recall('latent', newSessionId(), WITHIN), { reason: 'PERMISSION_DENIED' });
  await assert.rejects(score.bus.recall('speech', '*', WITHIN), { reason: 'SESSION_ID_INVALID' });
});

test('streams are in memory, bounded in bytes, and nothing is acknowledged', async () => {
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

test('recalling leaves no consumer behind', async () => {
  const manager = await jetstreamManager(raw);
  const consumers = async (): Promise<number> => (await manager.streams.info('talkmesh_speech')).state.consumer_count;
  const until = Date.now() + 10_000;
  while ((await consumers()) > 0 && Date.now() < until);
  assert.equal(await consumers(), 0);
});

test('a server that restarts has forgotten; the streams are made again before anybody is told', async () => {
  const sid = newSessionId();
  bridge.bus.publish('speech', sid, bytes(1));
  await bridge.bus.flush();
  assert.equal((await score.bus.recall('speech', sid, WITHIN)).length, 1);
  let told = 0;
  const subscription = bridge.bus.onReconnect(() => {
    told += 1;
    bridge.bus.publish('speech', sid, bytes(2));
  });
  await nats.kill();
  assert.ok(await waitUntil(() => !score.bus.connected && !bridge.bus.connected, 10_000));
  await assert.rejects(score.bus.recall('speech', sid, WITHIN), { reason: 'NATS_UNAVAILABLE' });
  await nats.start();
  assert.ok(await waitUntil(() => told === 1 && score.bus.connected, 20_000));
  subscription.unsubscribe();
  await bridge.bus.flush();
  const kept = await score.bus.recall('speech', sid, WITHIN);
  assert.deepEqual(first(kept), [2], 'what was published upon the news is retained, what was before is gone');
});
