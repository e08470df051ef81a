import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { newSessionId } from '@talkmesh/contracts';
import { createLogger } from '@talkmesh/service-kit';
import { until } from '@talkmesh/service-kit/testing';
import { Bounds, DEFAULT_LIMITS, type DropReason } from './bounds.js';
import { Deliveries, type DeliveriesOptions, type Outcome } from './deliveries.js';
import { type Delivery, keyOf, orderOf, readDelivery } from './delivery.js';

const log = createLogger({ service: 'gateway', instanceId: 'test', level: 'silent', pretty: false });
const SESSION = newSessionId();
let made = 0;
const delivery = (changes: Partial<Delivery> = {}): Delivery => {
  made += 1;
  const order = orderOf({ created: '2026-01-01T00:00:00.123456789Z', sequence: made });
  const state = { acceptedAtMs: Date.now(), attempts: 0, dueAtMs: 0 };
  return { id: `event-${made}`, endpoint: 'shop', sessionId: SESSION, order, body: '{}', ...state, ...changes };
};

interface Over {
  readonly id: string;
  readonly outcome: Outcome;
  readonly reason: DropReason | undefined;
}

function engine(options: Partial<DeliveriesOptions> & Pick<DeliveriesOptions, 'attempt'>) {
  const over: Over[] = [];
  const repeated: Delivery[] = [];
  const deliveries = new Deliveries({
    ...{ log, limits: DEFAULT_LIMITS, retryMs: [1, 1], maxAgeMs: 60_000, mayAttempt: () => true },
    onRepeat: (again) => repeated.push(again),
    onOver: ({ id }, outcome, reason) => over.push({ id, outcome, reason }),
    ...options,
  });
  const send = (...wanted: Delivery[]): void => {
    for (const one of wanted) {
      deliveries.reserve(one);
      deliveries.send(one);
    }
  };
  return { deliveries, over, repeated, send };
}

async function outcomeOf(answers: readonly (number | Error)[]): Promise<[Outcome | undefined, number]> {
  let attempts = 0;
  const { over, send } = engine({
    attempt: async () => {
      const answer = answers[Math.min(attempts++, answers.length - 1)] as number | Error;
      if (answer instanceof Error) throw answer;
      return answer;
    },
  });
  send(delivery());
  await until('an outcome', () => over.length === 1);
  return [over[0]?.outcome, attempts];
}

test('what is repeated and how often: network and server errors, but no refusal; a redirect is no delivery', async () => {
  assert.deepEqual(await outcomeOf([204]), ['delivered', 1]);
  assert.deepEqual(await outcomeOf([new Error('reset'), 503, 200]), ['delivered', 3]);
  assert.deepEqual(await outcomeOf([429, 200]), ['delivered', 2]);
  assert.deepEqual(await outcomeOf([400]), ['refused', 1]);
  assert.deepEqual(await outcomeOf([302]), ['given-up', 3]);
  assert.deepEqual(await outcomeOf([500]), ['given-up', 3]);
});

test('attempts are counted on: one that failed elsewhere has as many as are left', async () => {
  const { over, repeated, send } = engine({ attempt: async () => 500 });
  const first = delivery({ attempts: 1 });
  const nowMs = Date.now();
  send(first);
  await until('the end', () => over.length === 1);
  assert.deepEqual(over, [{ id: first.id, outcome: 'given-up', reason: undefined }]);
  assert.deepEqual(
    repeated.map(({ dueAtMs, ...rest }) => ({ ...rest, dueAtMs: dueAtMs >= nowMs ? 0 : dueAtMs })),
    [{ ...first, attempts: 2 }],
  );
});

test('the pause of another gateway goes on, but never longer than the schedule has it', async () => {
  const sent: string[] = [];
  const { send } = engine({
    retryMs: [1, 100],
    attempt: async ({ id }) => {
      sent.push(id);
      return 200;
    },
  });
  const [late, early] = [delivery({ endpoint: 'a' }), delivery({ endpoint: 'b' })];
  // The clock of the gateway that wrote the first is an hour ahead.
  send({ ...late, attempts: 2, dueAtMs: Date.now() + 3_600_000 }, { ...early, attempts: 2, dueAtMs: 1 });
  await until('both', () => sent.length === 2);
  assert.deepEqual(sent, [early.id, late.id]);
});

test('what waits for too long is dropped for its age', async () => {
  const { over, send } = engine({ attempt: async () => 200 });
  const old = delivery({ acceptedAtMs: Date.now() - 61_000 });
  const next = delivery();
  send(old, next);
  await until('both', () => over.length === 2);
  assert.deepEqual(over, [
    { id: old.id, outcome: 'dropped', reason: 'age' },
    { id: next.id, outcome: 'delivered', reason: undefined },
  ]);
});

test('what waits does not grow old when the clock of the machine is set', async ({ mock }) => {
  let isUp = false;
  const { over, repeated, send } = engine({ retryMs: Array(1000).fill(1), attempt: async () => (isUp ? 200 : 503) });
  send(delivery());
  await until('a failure', () => repeated.length > 0);
  const now = Date.now;
  mock.method(Date, 'now', () => now() + 7_200_000);
  const failures = repeated.length;
  await until('another failure', () => repeated.length > failures);
  isUp = true;
  await until('the end', () => over.length === 1);
  assert.equal(over[0]?.outcome, 'delivered');
});

for (const [poison, answer] of [
  ['hangs', () => new Promise<number>(() => undefined)],
  ['fails', async () => 503],
] as const)
  test(`a receiver that ${poison} delays no other, and no more than some of its requests are under way`, async () => {
    let open = 0;
    let most = 0;
    const { deliveries, over, send } = engine({
      retryMs: [3_600_000],
      attempt: async ({ endpoint }) => {
        if (endpoint !== 'poison') return 200;
        open += 1;
        most = Math.max(most, open);
        const status = await answer();
        open -= 1;
        return status;
      },
    });
    for (let i = 0; i < 200; i++) send(delivery({ endpoint: 'poison', sessionId: newSessionId() }));
    await until('requests', () => most === 16);
    const others = Array.from({ length: 100 }, () => delivery());
    send(...others);
    await until('the others', () => over.length === 100);
    assert.deepEqual(
      over.map(({ id }) => id),
      others.map(({ id }) => id),
    );
    assert.equal(most, 16);
    assert.equal(deliveries.stop().length, 200);
  });

test('one session waits for its earlier reports, another does not', async () => {
  const sent: string[] = [];
  let release = (_status: number): void => undefined;
  const { send } = engine({
    attempt: ({ id }) => {
      sent.push(id);
      if (sent.length > 1) return Promise.resolve(200);
      return new Promise((resolve) => {
        release = resolve;
      });
    },
  });
  const [a, b, other] = [delivery(), delivery(), delivery({ sessionId: newSessionId() })];
  send(a, b, other);
  await until('the other', () => sent.length === 2);
  assert.deepEqual(sent, [a.id, other.id]);
  release(200);
  await until('the rest', () => sent.length === 3);
});

test('nothing is sent while it may not be, and all of it afterwards', async () => {
  let may = false;
  let asked = 0;
  const { over, send } = engine({
    attempt: async () => 200,
    mayAttempt: () => {
      asked += 1;
      return may;
    },
  });
  send(delivery());
  await until('a question', () => asked > 0);
  assert.deepEqual(over, []);
  may = true;
  await until('the delivery', () => over.length === 1);
});

test('what waits for one receiver is dropped, also what is under way, and what stops is handed back', async () => {
  const signals: AbortSignal[] = [];
  const { deliveries, over, send } = engine({
    attempt: (_, signal) => {
      signals.push(signal);
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    },
  });
  const [first, second, kept] = [delivery(), delivery(), delivery({ endpoint: 'other' })];
  send(first, second, kept);
  await until('requests', () => signals.length === 2);
  deliveries.drop('shop', 'removed');
  assert.deepEqual(over, [
    { id: first.id, outcome: 'dropped', reason: 'removed' },
    { id: second.id, outcome: 'dropped', reason: 'removed' },
  ]);
  assert.deepEqual(
    signals.map(({ aborted }) => aborted),
    [true, false],
  );
  assert.deepEqual([deliveries.count, deliveries.endpoints], [1, ['other']]);
  assert.deepEqual(deliveries.stop(), [kept]);
  await sleep(20);
  assert.equal(over.length, 2);
});

test('the end waits for the requests under way and begins none', async () => {
  let release: ((status: number) => void) | undefined;
  const { deliveries, over, send } = engine({
    attempt: () =>
      new Promise((resolve) => {
        release = resolve;
      }),
  });
  const [first, second] = [delivery(), delivery()];
  send(first, second);
  await until('a request', () => release !== undefined);
  const finished = deliveries.finish(10_000);
  release?.(200);
  await finished;
  await until('the first', () => over.length === 1);
  assert.deepEqual(deliveries.stop(), [second]);
});

test('bounds: deliveries of a session, deliveries and bytes of a receiver, bytes of all', () => {
  const bounds = new Bounds({ perSession: 2, perEndpoint: 3, bytesPerEndpoint: 100, bytes: 150 });
  const of = (endpoint: string, sessionId: string, body = 'x'): Delivery => delivery({ endpoint, sessionId, body });
  const [mine, other, third] = [newSessionId(), newSessionId(), newSessionId()];
  const first = of('a', mine);
  for (const one of [first, of('a', mine)]) bounds.add(one);
  assert.equal(bounds.refusal(of('a', mine)), 'count');
  assert.equal(bounds.refusal(of('b', mine)), undefined);
  bounds.add(of('a', other));
  assert.equal(bounds.refusal(of('a', third)), 'count');
  bounds.remove(first);
  assert.equal(bounds.refusal(of('a', mine)), undefined);
  assert.equal(bounds.refusal(of('a', mine, 'é'.repeat(49))), undefined, '98 bytes beside 2');
  assert.equal(bounds.refusal(of('a', mine, 'é'.repeat(50))), 'bytes');
  bounds.add(of('b', mine, 'x'.repeat(100)));
  assert.equal(bounds.refusal(of('c', mine, 'x'.repeat(49))), 'bytes');
  assert.equal(bounds.refusal(of('c', mine, 'x'.repeat(48))), undefined);
  assert.deepEqual([bounds.count, bounds.has('a'), bounds.has('c')], [3, true, false]);
});

test('records: what is read back is what was written; keys are in the order of the events, also after a restart of NATS', () => {
  const one = delivery();
  assert.deepEqual(readDelivery(JSON.parse(JSON.stringify(one))), one);
  for (const other of [undefined, { holder: 'x', epoch: 'y' }, { ...one, attempts: -1 }, { ...one, sessionId: '>' }])
    assert.equal(readDelivery(other), undefined);
  assert.match(keyOf(one), /^shop\.[0-9a-z]{20}\.[0-9]+-[0-9]+$/);
  const places = [
    { created: '2026-01-01T00:00:00.1Z', sequence: 9 },
    { created: '2026-01-01T00:00:00.1Z', sequence: 10 },
    { created: '2026-01-01T00:00:07.2Z', sequence: 1 },
  ];
  const orders = places.map(orderOf);
  assert.deepEqual([...orders].sort(), orders);
});
