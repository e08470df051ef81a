import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newSessionId, RETENTION, subjectOf } from '@talkmesh/contracts';
import { createTestContext, NatsProxy, type NatsServer, startNatsServer, type TestContext } from '../testing/index.js';
import { until } from '../testing/until.js';
import type { Subscription } from './bus.js';
import { BEGINNING, type FollowedMessage, type StreamPosition } from './follower.js';

let nats: NatsServer;
let gateway: TestContext<object>;
before(async () => {
  nats = await startNatsServer();
  gateway = await createTestContext('gateway', undefined, nats.url);
  await gateway.retain();
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
});

const id = newSessionId();
const publish = async (...values: number[]): Promise<void> => {
  for (const value of values) gateway.bus.publish('event', id, Uint8Array.of(value));
  await gateway.bus.flush();
};
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

class Follow {
  readonly messages: FollowedMessage[] = [];
  readonly #subscription: Subscription;

  constructor(
    context: TestContext<object>,
    from: StreamPosition = BEGINNING,
    handle = async (): Promise<void> => undefined,
  ) {
    this.#subscription = context.bus.follow('event', from, async (messages) => {
      await handle();
      this.messages.push(...messages);
    });
  }

  get values(): (number | undefined)[] {
    return this.messages.map(({ payload }) => payload[0]);
  }

  stop(): void {
    this.#subscription.unsubscribe();
  }
}

test('messages come in order, from a position on, and with the subject of their session', async () => {
  const from = await gateway.bus.endOf('event');
  await publish(...range(1, 101));
  const follow = new Follow(gateway, from);
  await until('what was there', () => follow.messages.length === 100);
  await publish(...range(101, 201));
  await until('all', () => follow.messages.length === 200);
  assert.deepEqual(follow.values, range(1, 201));
  assert.equal(follow.messages[0]?.subject, subjectOf(id, 'event'));
  const middle = follow.messages[99] as FollowedMessage;
  const later = new Follow(gateway, middle.position);
  await until('the second half', () => later.messages.length === 100);
  assert.deepEqual(later.values, range(101, 201));
  follow.stop();
  later.stop();
});

test('messages whose handler fails come again, and nothing comes after the end', async () => {
  const from = await gateway.bus.endOf('event');
  let failures = 2;
  const follow = new Follow(gateway, from, async () => {
    failures -= 1;
    if (failures >= 0) throw new Error('not now');
  });
  await publish(1, 2, 3);
  await until('all', () => follow.messages.length === 3);
  assert.deepEqual(follow.values, [1, 2, 3]);
  assert.ok(failures < 0);
  follow.stop();
  await publish(4);
  const other = new Follow(gateway, follow.messages.at(-1)?.position);
  await until('the message', () => other.messages.length === 1);
  assert.equal(follow.messages.length, 3);
  other.stop();
});

test('what is ended before it has begun receives nothing', async () => {
  const from = await gateway.bus.endOf('event');
  const ended = new Follow(gateway, from);
  ended.stop();
  const other = new Follow(gateway, from);
  await publish(1);
  await until('the message', () => other.messages.length === 1);
  await publish(2);
  await until('the next', () => other.messages.length === 2);
  assert.deepEqual(ended.values, []);
  other.stop();
});

test('a lost connection loses and repeats nothing', async () => {
  const from = await gateway.bus.endOf('event');
  await using proxy = await NatsProxy.start(nats.url);
  await using away = await createTestContext('gateway', undefined, proxy.url);
  const follow = new Follow(away, from);
  await publish(1, 2);
  await until('two', () => follow.messages.length === 2);
  proxy.cut(away.config.instanceId);
  await publish(3, 4);
  proxy.heal(away.config.instanceId);
  await publish(5);
  await until('the rest', () => follow.values.at(-1) === 5);
  assert.deepEqual(follow.values, [1, 2, 3, 4, 5]);
  follow.stop();
});

test('after a restart of NATS, which empties the stream, it follows the new one from its beginning', async () => {
  const from = await gateway.bus.endOf('event');
  await publish(...range(1, 20));
  const follow = new Follow(gateway, from);
  await until('all', () => follow.messages.length === 19);
  await nats.kill();
  await nats.start();
  await until('the connection', () => gateway.bus.connected);
  await until('a message', async () => {
    await publish(77);
    return follow.values.includes(77);
  });
  assert.notEqual(follow.messages.at(-1)?.position.created, from.created);
  follow.stop();
});

test('what the bounds of the stream removed is left out', async () => {
  const from = await gateway.bus.endOf('event');
  const { perSession } = RETENTION.event;
  const values = range(0, perSession + 50).map((n) => n % 250);
  await publish(...values);
  const follow = new Follow(gateway, from);
  await until('what is left', () => follow.messages.length === perSession);
  assert.deepEqual(follow.values, values.slice(50));
  follow.stop();
});

test('a stream that is not there yet is followed from its beginning', async () => {
  await using fresh = await startNatsServer();
  await using late = await createTestContext('gateway', undefined, fresh.url);
  const from = await late.bus.endOf('event');
  assert.deepEqual(from, BEGINNING);
  const follow = new Follow(late, from);
  await late.retain();
  late.bus.publish('event', id, Uint8Array.of(5));
  await until('the message', () => follow.values.length === 1);
  follow.stop();
});

test('only what the pipeline table lists may be followed', async () => {
  await using decoder = await createTestContext('vae-decode', undefined, nats.url);
  await assert.rejects(decoder.bus.endOf('event'), { reason: 'PERMISSION_DENIED' });
  assert.throws(() => new Follow(decoder), { reason: 'PERMISSION_DENIED' });
  assert.throws(() => gateway.bus.follow('speech', BEGINNING, async () => {}), { reason: 'PERMISSION_DENIED' });
});
