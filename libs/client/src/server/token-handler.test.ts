import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { FakeGateway, problem, SESSION } from '../testing/fakes.js';
import { type TokenHandlerOptions, tokenHandler } from './token-handler.js';

const KEY = 'the-api-key-of-the-product';

async function ask(
  session: TokenHandlerOptions['session'],
  init: RequestInit,
  gateway = new FakeGateway(),
): Promise<{ status: number; body: Record<string, unknown>; gateway: FakeGateway }> {
  const handle = tokenHandler({ baseUrl: 'http://gateway', apiKey: KEY, session, fetch: gateway.fetch });
  const server = createServer((request, response) => void handle(request, response));
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  try {
    const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/token`, init);
    return { status: response.status, body: (await response.json()) as Record<string, unknown>, gateway };
  } finally {
    server.close();
  }
}

const post = (body: unknown, type = 'application/json'): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': type },
  body: typeof body === 'string' ? body : JSON.stringify(body),
});

test('a page gets a ticket for what the server grants, and never the API key', async () => {
  const { status, body, gateway } = await ask(
    ({ avatar }) => ({ avatar: avatar ?? 'mia', language: 'de' }),
    post({ avatar: 'leo', provider: 'other' }),
  );
  assert.equal(status, 201);
  assert.equal(body['sessionId'], SESSION);
  assert.equal(typeof body['token'], 'string');
  assert.doesNotMatch(JSON.stringify(body), new RegExp(KEY));
  assert.equal(gateway.seen[0]?.bearer, KEY);
  assert.deepEqual(JSON.parse(gateway.seen[0]?.body ?? ''), { avatar: 'leo', language: 'de' });
});

test('a page of another site, a wrong method, too large or malformed bodies and refused callers open no session', async () => {
  const cases: [TokenHandlerOptions['session'], RequestInit, number][] = [
    [{ avatar: 'mia' }, { method: 'GET' }, 405],
    [{ avatar: 'mia' }, post('{}', 'text/plain'), 415],
    [{ avatar: 'mia' }, post('{'), 400],
    [{ avatar: 'mia' }, post('[1]'), 400],
    [{ avatar: 'mia' }, post('null'), 400],
    [{ avatar: 'mia' }, post({ text: 'x'.repeat(20_000) }), 413],
    [() => undefined, post({}), 403],
    [async () => Promise.reject(new Error('the database is away')), post({}), 500],
  ];
  for (const [session, init, expected] of cases) {
    const { status, body, gateway } = await ask(session, init);
    assert.equal(status, expected, JSON.stringify(body));
    assert.doesNotMatch(JSON.stringify(body), /database/);
    assert.deepEqual(gateway.seen, []);
  }
});

test('what the gateway refuses: a full mesh is told to the page, a wrong key is not', async () => {
  const refusing = (status: number, reason: string, extra: object = {}): FakeGateway => {
    const gateway = new FakeGateway();
    gateway.routes.set('POST /v1/sessions', () => problem(status, reason, extra));
    return gateway;
  };
  const full = await ask(
    { avatar: 'mia' },
    post({}),
    refusing(429, 'SESSION_LIMIT', { retryable: true, retryAfterMs: 2000 }),
  );
  assert.deepEqual([full.status, full.body['reason'], full.body['retryAfterMs']], [503, 'SESSION_LIMIT', 2000]);
  const wrongKey = await ask({ avatar: 'mia' }, post({}), refusing(401, 'TOKEN_INVALID'));
  assert.deepEqual([wrongKey.status, wrongKey.body['reason']], [500, 'INTERNAL']);
});

test('a server without its settings does not start', () => {
  assert.throws(
    () => tokenHandler({ baseUrl: undefined, apiKey: undefined, session: { avatar: 'mia' } }),
    /TALKMESH_URL/,
  );
});

test('the component can be imported where there is no HTMLElement', async () => {
  const { defineTalkMesh, TalkMeshElement } = await import('../element/index.js');
  defineTalkMesh();
  assert.equal(typeof TalkMeshElement, 'function');
  assert.equal(typeof (await import('../react.js')).TalkMesh, 'object');
});
