/** Webhooks of a real gateway to a real receiver, and what they may not reach. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { readWebhook, type WebhookMessage } from '@talkmesh/client/server';
import { createLogger } from '@talkmesh/service-kit';
import { until } from '@talkmesh/service-kit/testing';
import { API_KEY, FakeMesh } from '../testing/fake-mesh.js';
import { Deliveries, type Outcome } from './deliveries.js';
import { readEndpoints } from './endpoints.js';
import { OutboundRequests } from './outbound-request.js';
import { signedHeaders } from './signature.js';

const [SECRET, NEXT_SECRET] = [1, 2].map((fill) => `whsec_${Buffer.alloc(32, fill).toString('base64')}`) as [
  string,
  string,
];
const folder = mkdtempSync(join(tmpdir(), 'talkmesh-webhooks-'));
const file = join(folder, 'webhooks.json');

interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}
let received: Received[] = [];
/** Statuses of the next answers; 200 when there is none. */
let statuses: number[] = [];
const receiver = createServer(async (request, response) => {
  let body = '';
  for await (const part of request) body += String(part);
  const status = statuses.shift() ?? 200;
  received.push({ headers: request.headers, body });
  response.writeHead(status, status === 302 ? { location: '/elsewhere' } : {}).end('x'.repeat(100_000));
});
const url = (): string => `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;
const write = (endpoints: unknown): void => {
  writeFileSync(file, JSON.stringify(endpoints));
  chmodSync(file, 0o600);
};

let mesh: FakeMesh;
before(async () => {
  await new Promise<void>((resolve) => void receiver.listen(0, '127.0.0.1', resolve));
  write([
    { owner: 'shop', url: url(), secrets: [SECRET, NEXT_SECRET] },
    { owner: 'other', url: `${url()}/other`, secrets: [SECRET] },
  ]);
  mesh = await FakeMesh.start({
    TALKMESH_API_KEYS: `shop:${API_KEY}`,
    TALKMESH_WEBHOOKS_FILE: file,
    TALKMESH_WEBHOOK_NETWORKS: 'loopback',
  });
});
beforeEach(() => {
  received = [];
  statuses = [];
});
after(async () => {
  await mesh[Symbol.asyncDispose]();
  receiver.close();
  receiver.closeAllConnections();
  rmSync(folder, { recursive: true, force: true });
});

const messages = (): WebhookMessage[] => received.map(({ headers, body }) => readWebhook(SECRET, headers, body));

test('a session and its turns are reported in order, signed with every secret, to the owner of the session only', async () => {
  const { session } = await mesh.session();
  const { bus } = mesh.workers['audio-llm-bridge'];
  const at = { sessionId: session, epoch: 0, turn: 1 } as const;
  bus.publishEvent({ ...at, type: 'turn.queued', source: 'text' });
  bus.publishEvent({ ...at, type: 'turn.started', source: 'text' });
  bus.publishEvent({ ...at, type: 'turn.finished', interrupted: false, speechMs: 900, heardMs: 900 });
  await until('the turn', () => received.length === 3);
  await mesh.call('DELETE', `/v1/sessions/${session}`);
  await until('the end', () => received.length === 4);
  const types = messages().map(({ type }) => type);
  assert.deepEqual(types, ['session.started', 'turn.started', 'turn.finished', 'session.ended']);
  for (const { data } of messages()) assert.equal(data.sessionId, session);
  assert.equal(messages()[2]?.data['heardMs'], 900);
  assert.equal(new Set(messages().map(({ id }) => id)).size, 4);
  const [{ headers, body }] = received as [Received];
  assert.equal(readWebhook(NEXT_SECRET, headers, body).type, 'session.started');
  const wrong = `whsec_${Buffer.alloc(32, 3).toString('base64')}`;
  assert.throws(() => readWebhook(wrong, headers, body), /signature/);
  assert.throws(() => readWebhook(SECRET, headers, `${body} `), /signature/);
  assert.throws(() => readWebhook(SECRET, headers, body, Date.now() + 301_000), /five minutes/);
});

test('a failed report is repeated with the same id, signed again, and later ones of the session wait for it', async () => {
  statuses = [500];
  const { session } = await mesh.session();
  await mesh.call('DELETE', `/v1/sessions/${session}`);
  await until('all', () => received.length === 3);
  const [first, again, ended] = messages();
  assert.deepEqual([first?.type, again?.type, ended?.type], ['session.started', 'session.started', 'session.ended']);
  assert.equal(first?.id, again?.id);
  const times = received.map(({ headers }) => Number(headers['webhook-timestamp']));
  assert.ok((times[1] ?? 0) >= (times[0] ?? 0));
});

const log = createLogger({ service: 'gateway', instanceId: 'test', level: 'silent', pretty: false });

async function outcomeOf(answers: readonly (number | Error)[], retryMs = [1, 1]): Promise<[Outcome[], number]> {
  const outcomes: Outcome[] = [];
  let attempts = 0;
  const deliveries = new Deliveries({ log, retryMs, onOutcome: (outcome) => outcomes.push(outcome) });
  deliveries.add({
    id: 'x',
    queue: 'q',
    attempt: async () => {
      const answer = answers[Math.min(attempts++, answers.length - 1)] as number | Error;
      if (answer instanceof Error) throw answer;
      return answer;
    },
  });
  await until('an outcome', () => outcomes.length === 1);
  return [outcomes, attempts];
}

test('what is repeated and how often: network and server errors, but no refusal; a redirect is no delivery', async () => {
  assert.deepEqual(await outcomeOf([204]), [['delivered'], 1]);
  assert.deepEqual(await outcomeOf([new Error('reset'), 503, 200]), [['delivered'], 3]);
  assert.deepEqual(await outcomeOf([429, 200]), [['delivered'], 2]);
  assert.deepEqual(await outcomeOf([400]), [['refused'], 1]);
  assert.deepEqual(await outcomeOf([302]), [['given-up'], 3]);
  assert.deepEqual(await outcomeOf([500]), [['given-up'], 3]);
});

test('queues are bounded: what is too much is dropped, said and counted', async () => {
  const outcomes: Outcome[] = [];
  const deliveries = new Deliveries({ log, onOutcome: (outcome) => outcomes.push(outcome) });
  let release = (_status: number): void => {};
  const blocked = new Promise<number>((resolve) => {
    release = resolve;
  });
  for (let i = 0; i < 300; i++) deliveries.add({ id: String(i), queue: 'q', attempt: () => blocked });
  assert.equal(outcomes.filter((outcome) => outcome === 'dropped').length, 300 - 256);
  release(200);
  await until('the rest', () => outcomes.filter((outcome) => outcome === 'delivered').length === 256);
});

test('no request reaches this network, however the address is written, and redirects are not followed', async () => {
  const guarded = new OutboundRequests([]);
  const { port } = receiver.address() as AddressInfo;
  for (const address of [
    `http://127.0.0.1:${port}/`,
    `https://127.0.0.1:${port}/`,
    `https://localhost:${port}/`,
    `https://[::1]:${port}/`,
    `https://[::ffff:127.0.0.1]:${port}/`,
    `https://0x7f000001:${port}/`,
    `https://2130706433:${port}/`,
    'https://169.254.169.254/latest/meta-data',
    'https://10.0.0.1/',
    'https://[fd00::1]/',
    'https://[64:ff9b::7f00:1]/',
    'https://0.0.0.0/',
  ])
    await assert.rejects(guarded.post(address, {}, '{}'), { reason: 'PERMISSION_DENIED' }, address);
  assert.deepEqual(received, []);
  statuses = [302];
  assert.equal(await new OutboundRequests(['loopback']).post(url(), {}, '{}'), 302);
  assert.equal(received.length, 1);
});

test('a receiver that does not answer, or is not there, is PEER_LOST', async () => {
  const requests = new OutboundRequests(['loopback']);
  await assert.rejects(requests.post('http://127.0.0.1:1/', {}, '{}'), { reason: 'PEER_LOST' });
});

test('the file: every mistake is named, no secret is', () => {
  const wrong = [
    [[{ owner: 'A B', url: url(), secrets: [SECRET] }], /0\.owner/],
    [[{ owner: 'shop', url: 'ftp://x', secrets: [SECRET] }], /0\.url/],
    [[{ owner: 'shop', url: url(), secrets: ['whsec_c2hvcnQ='] }], /openssl/],
    [[{ owner: 'shop', url: url(), secrets: [SECRET], events: ['flush'] }], /0\.events/],
    [{ owner: 'shop' }, /array/],
  ] as const;
  for (const [content, problem] of wrong) {
    write(content);
    const { problems } = readEndpoints(file);
    assert.match(problems.join('\n'), problem);
    assert.doesNotMatch(problems.join('\n'), /c2hvcnQ/);
  }
  write([{ owner: 'shop', url: url(), secrets: [SECRET] }]);
  chmodSync(file, 0o644);
  assert.match(readEndpoints(file).problems.join(), /chmod/);
});

test('the signature is that of the specification', () => {
  // The example of the reference libraries of Standard Webhooks.
  const headers = signedHeaders(
    {
      id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      body: '{"test": 2432232314}',
      secrets: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'],
    },
    1_614_265_330_000,
  );
  assert.equal(headers['webhook-signature'], 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
});
