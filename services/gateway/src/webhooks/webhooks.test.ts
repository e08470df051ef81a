/** Webhooks of a real gateway to a real receiver, and what they may not reach. */
import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { after, before, beforeEach, test } from 'node:test';
import { readWebhook, type WebhookMessage } from '@talkmesh/client/server';
import { until } from '@talkmesh/service-kit/testing';
import { API_KEY, FakeMesh } from '../testing/fake-mesh.js';
import { type ReceivedWebhook, WebhookReceiver, webhookSecret } from '../testing/webhook-receiver.js';
import { readEndpoints } from './endpoints.js';
import { OutboundRequests } from './outbound-request.js';
import { signedHeaders } from './signature.js';

const [SECRET, NEXT_SECRET] = [webhookSecret(1), webhookSecret(2)];

let receiver: WebhookReceiver;
let mesh: FakeMesh;
before(async () => {
  receiver = await WebhookReceiver.start();
  receiver.write([
    { owner: 'shop', url: receiver.url(), secrets: [SECRET, NEXT_SECRET] },
    { owner: 'other', url: receiver.url('/other'), secrets: [SECRET] },
  ]);
  mesh = await FakeMesh.start({
    TALKMESH_API_KEYS: `shop:${API_KEY}`,
    TALKMESH_WEBHOOKS_FILE: receiver.file,
    TALKMESH_WEBHOOK_NETWORKS: 'loopback',
  });
});
beforeEach(() => {
  receiver.received = [];
  receiver.answer = () => 200;
});
after(async () => {
  await mesh[Symbol.asyncDispose]();
  await receiver[Symbol.asyncDispose]();
});

const messages = (): WebhookMessage[] => receiver.messages(SECRET);

test('a session and its turns are reported in order, signed with every secret, to the owner of the session only', async () => {
  const { session } = await mesh.session();
  const { bus } = mesh.workers['audio-llm-bridge'];
  const at = { sessionId: session, epoch: 0, turn: 1 } as const;
  bus.publishEvent({ ...at, type: 'turn.queued', source: 'text' });
  bus.publishEvent({ ...at, type: 'turn.started', source: 'text' });
  bus.publishEvent({ ...at, type: 'turn.finished', interrupted: false, speechMs: 900, heardMs: 900 });
  await until('the turn', () => receiver.received.length === 3);
  await mesh.call('DELETE', `/v1/sessions/${session}`);
  await until('the end', () => receiver.received.length === 4);
  const types = messages().map(({ type }) => type);
  assert.deepEqual(types, ['session.started', 'turn.started', 'turn.finished', 'session.ended']);
  for (const { data } of messages()) assert.equal(data.sessionId, session);
  assert.equal(messages()[2]?.data['heardMs'], 900);
  assert.equal(new Set(messages().map(({ id }) => id)).size, 4);
  const [{ headers, body }] = receiver.received as [ReceivedWebhook];
  assert.equal(readWebhook(NEXT_SECRET, headers, body).type, 'session.started');
  const wrong = `whsec_${Buffer.alloc(32, 3).toString('base64')}`;
  assert.throws(() => readWebhook(wrong, headers, body), /signature/);
  assert.throws(() => readWebhook(SECRET, headers, `${body} `), /signature/);
  assert.throws(() => readWebhook(SECRET, headers, body, Date.now() + 301_000), /five minutes/);
});

test('a failed report is repeated with the same id, signed again, and later ones of the session wait for it', async () => {
  receiver.answer = () => (receiver.received.length === 0 ? 500 : 200);
  const { session } = await mesh.session();
  await mesh.call('DELETE', `/v1/sessions/${session}`);
  await until('all', () => receiver.received.length === 3);
  const [first, again, ended] = messages();
  assert.deepEqual([first?.type, again?.type, ended?.type], ['session.started', 'session.started', 'session.ended']);
  assert.equal(first?.id, again?.id);
  const times = receiver.received.map(({ headers }) => Number(headers['webhook-timestamp']));
  assert.ok((times[1] ?? 0) >= (times[0] ?? 0));
});

test('no request reaches this network, however the address is written, and redirects are not followed', async () => {
  const guarded = new OutboundRequests([]);
  const { port } = new URL(receiver.url());
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
  await assert.rejects(new OutboundRequests(['private']).post(receiver.url(), {}, '{}'), {
    reason: 'PERMISSION_DENIED',
    message: /do not contain 127\.0\.0\.1; use https, or add "loopback"/,
  });
  assert.deepEqual(receiver.received, []);
  receiver.answer = () => 302;
  assert.equal(await new OutboundRequests(['loopback']).post(receiver.url(), {}, '{}'), 302);
  assert.equal(receiver.received.length, 1);
});

test('a receiver that does not answer, or is not there, is PEER_LOST', async () => {
  const requests = new OutboundRequests(['loopback']);
  await assert.rejects(requests.post('http://127.0.0.1:1/', {}, '{}'), { reason: 'PEER_LOST' });
});

test('the file: every mistake is named, no secret is', () => {
  const wrong = [
    [[{ owner: 'A B', url: receiver.url(), secrets: [SECRET] }], /0\.owner/],
    [[{ owner: 'shop', url: 'ftp://x', secrets: [SECRET] }], /0\.url/],
    [[{ owner: 'shop', url: receiver.url(), secrets: ['whsec_c2hvcnQ='] }], /openssl/],
    [[{ owner: 'shop', url: receiver.url(), secrets: [SECRET], events: ['flush'] }], /0\.events/],
    [{ owner: 'shop' }, /array/],
  ] as const;
  for (const [content, problem] of wrong) {
    receiver.write(content);
    const { problems } = readEndpoints(receiver.file);
    assert.match(problems.join('\n'), problem);
    assert.doesNotMatch(problems.join('\n'), /c2hvcnQ/);
  }
  receiver.write([{ owner: 'shop', url: receiver.url(), secrets: [SECRET] }]);
  chmodSync(receiver.file, 0o644);
  assert.match(readEndpoints(receiver.file).problems.join(), /chmod/);
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
