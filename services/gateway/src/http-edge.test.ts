import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { after, before, test } from 'node:test';
import { AT_REST } from '@talkmesh/client';
import { type EventBody, newSessionId, type Reason } from '@talkmesh/contracts';
import { until } from '@talkmesh/service-kit/testing';
import { Auth } from './auth.js';
import { API_KEY, FakeMesh, offer, TOKEN_SECRET } from './testing/fake-mesh.js';

let mesh: FakeMesh;
let session: { session: string; token: string };
before(async () => {
  mesh = await FakeMesh.start({
    TALKMESH_CORS_ORIGINS: 'https://shop.test',
    TALKMESH_EVENT_HEARTBEAT_MS: '50',
    TALKMESH_TOKEN_TTL_MS: '60000',
  });
  session = await mesh.session();
});
after(() => mesh[Symbol.asyncDispose]());

const signedWith = (secret: string, tokenTtlMs = 60_000) => ({
  secrets: { apiKeys: [], tokenSecrets: [secret] },
  tokenTtlMs,
});

type Problem = { reason: string; status: number; detail: string };

async function refuses(
  answer: Promise<{ status: number; body: unknown }>,
  status: number,
  reason: Reason,
): Promise<void> {
  const { status: got, body } = await answer;
  assert.deepEqual([got, (body as Problem).reason, (body as Problem).status], [status, reason, status]);
}

test('every operation of a session requires the token of that session', async () => {
  const document = await mesh.call<{ paths: Record<string, Record<string, { security?: unknown[] }>> }>(
    'GET',
    '/openapi.json',
    { bearer: undefined },
  );
  const expired = (await new Auth(signedWith(TOKEN_SECRET, 1000)).issue(session.session, [], Date.now() - 5000)).token;
  const forged = (await new Auth(signedWith(`${TOKEN_SECRET}!`)).issue(session.session)).token;
  const other = (await new Auth(signedWith(TOKEN_SECRET)).issue(newSessionId())).token;
  let checked = 0;
  for (const [path, methods] of Object.entries(document.body.paths))
    for (const [method, { security }] of Object.entries(methods)) {
      if (security !== undefined) continue;
      const url = path.replace('{id}', session.session).replace('{resource}', 'r-1');
      const call = (bearer: string | undefined) => mesh.call(method.toUpperCase(), url, { bearer });
      await refuses(call(undefined), 401, 'TOKEN_MISSING');
      await refuses(call(expired), 401, 'TOKEN_EXPIRED');
      await refuses(call(forged), 401, 'TOKEN_INVALID');
      await refuses(call('no-key-of-this-gateway'), 401, 'TOKEN_INVALID');
      // Own pictures and recordings are for API keys alone.
      const isForKeys = path.startsWith('/v1/avatars/') || path.includes('/recording');
      if (isForKeys) await refuses(call(other), 403, 'PERMISSION_DENIED');
      else if (path.includes('{id}')) await refuses(call(other), 403, 'TOKEN_WRONG_SESSION');
      else if (path === '/v1/sessions') await refuses(call(session.token), 403, 'PERMISSION_DENIED');
      checked += 1;
    }
  assert.ok(checked >= 12, `${checked} operations`);
  const unauthorised = await mesh.call('GET', '/v1/sessions', { bearer: undefined });
  assert.match(unauthorised.headers.get('www-authenticate') ?? '', /^Bearer/);
});

test('invalid ids and unknown sessions are refused', async () => {
  await refuses(mesh.call('GET', '/v1/sessions/not-an-id'), 400, 'SESSION_ID_INVALID');
  await refuses(mesh.call('GET', '/v1/sessions/%2A'), 400, 'SESSION_ID_INVALID');
  const unknown = newSessionId();
  for (const [method, path] of [
    ['GET', `/v1/sessions/${unknown}`],
    ['DELETE', `/v1/sessions/${unknown}`],
    ['GET', `/v1/sessions/${unknown}/events`],
    ['POST', `/v1/sessions/${unknown}/interrupt`],
    ['POST', `/v1/sessions/${unknown}/pause`],
    ['POST', `/v1/sessions/${unknown}/resume`],
    ['POST', `/v1/sessions/${unknown}/token`],
    ['DELETE', `/v1/whep/${unknown}/r-1`],
  ] as const)
    await refuses(mesh.call(method, path), 404, 'SESSION_NOT_FOUND');
  await refuses(mesh.call('GET', '/nothing'), 404, 'NOT_FOUND');
});

test('a token can renew itself until the session ends', async () => {
  const renewed = await mesh.call<{ token: string; tokenExpiresAtMs: number }>(
    'POST',
    `/v1/sessions/${session.session}/token`,
    { bearer: session.token },
  );
  assert.equal(renewed.status, 201);
  assert.notEqual(renewed.body.token, session.token);
  assert.equal((await mesh.call('GET', `/v1/sessions/${session.session}`, { bearer: renewed.body.token })).status, 200);
  session = { ...session, token: renewed.body.token };
});

test('WHIP and WHEP reach the worker that holds the session, and the Location names the connection', async () => {
  for (const [name, service, kinds] of [
    ['whip', 'audio-ingest', ['audio']],
    ['whep', 'webrtc-egress', ['video', 'audio']],
  ] as const) {
    const path = `/v1/${name}/${session.session}`;
    const sdp = offer(...kinds);
    const answer = await mesh.call<string>('POST', path, { body: sdp, type: 'application/sdp', bearer: session.token });
    assert.deepEqual([answer.status, answer.body], [201, 'v=0\r\nanswer']);
    assert.match(answer.headers.get('content-type') ?? '', /^application\/sdp/);
    assert.equal(answer.headers.get('location'), `${path}/r-1`);
    assert.deepEqual(mesh.workers[service].offers.at(-1), { sessionId: session.session, sdp });
    const closed = await mesh.call('DELETE', `${path}/r-1`, { bearer: session.token });
    assert.equal(closed.status, 200);
    assert.deepEqual(mesh.workers[service].hangups.at(-1), { sessionId: session.session, resourceId: 'r-1' });
  }
  await refuses(
    mesh.call('DELETE', `/v1/whip/${session.session}/${encodeURIComponent('../x')}`),
    400,
    'ARGUMENT_INVALID',
  );
});

test('a refused content type names the one to send', async () => {
  const form = { body: '{"avatar":"ada"}', type: 'application/x-www-form-urlencoded' };
  const { status, body } = await mesh.call('POST', '/v1/sessions', form);
  assert.equal(status, 415);
  assert.match(String(body['detail']), /"content-type: application\/json"/);
});

test('SDP that is invalid, too large or of another content type never reaches a worker', async () => {
  const path = `/v1/whep/${session.session}`;
  const post = (body: string, type = 'application/sdp') =>
    mesh.call('POST', path, { body, type, bearer: session.token });
  const before = mesh.workers['webrtc-egress'].offers.length;
  await refuses(post('this is not sdp'), 400, 'SDP_INVALID');
  await refuses(post(`v=0\r\n${'\u0001'.repeat(100)}`), 400, 'SDP_INVALID');
  await refuses(post(offer('video') + 'a=x\r\n'.repeat(20_000)), 413, 'BODY_TOO_LARGE');
  await refuses(post('{"sdp":"v=0"}', 'application/json'), 415, 'ARGUMENT_INVALID');
  await refuses(post(offer('video'), 'text/plain'), 415, 'ARGUMENT_INVALID');
  await refuses(post(offer('video'), 'application/trickle-ice-sdpfrag'), 415, 'ARGUMENT_INVALID');
  await refuses(mesh.call('POST', path, { bearer: session.token }), 415, 'ARGUMENT_INVALID');
  assert.equal(mesh.workers['webrtc-egress'].offers.length, before);
  const patch = await mesh.call('PATCH', path, { bearer: session.token });
  assert.deepEqual([patch.status, patch.headers.get('allow')], [405, 'POST, OPTIONS']);
});

test('bodies over 64 KiB are refused, also without Content-Length', async () => {
  const big = { text: 'x'.repeat(70_000) };
  await refuses(
    mesh.call('POST', `/v1/sessions/${session.session}/say`, { body: big, bearer: session.token }),
    413,
    'BODY_TOO_LARGE',
  );
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const { hostname, port } = new URL(mesh.gateway.url);
    const request = httpRequest({
      hostname,
      port,
      method: 'POST',
      path: `/v1/sessions/${session.session}/say`,
      headers: { authorization: `Bearer ${session.token}`, 'content-type': 'application/json' },
    });
    request.on('response', (response) => resolve(response.resume().statusCode));
    request.on('error', reject);
    for (let i = 0; i < 10; i += 1) request.write('x'.repeat(10_000));
    request.end();
  });
  assert.equal(status, 413);
});

test('only listed origins are allowed', async () => {
  const allowed = await mesh.call('OPTIONS', '/v1/sessions', {
    bearer: undefined,
    headers: { origin: 'https://shop.test', 'access-control-request-method': 'POST' },
  });
  assert.equal(allowed.status, 204);
  assert.equal(allowed.headers.get('access-control-allow-origin'), 'https://shop.test');
  assert.match(allowed.headers.get('access-control-allow-headers') ?? '', /authorization/);
  const list = await mesh.call('GET', '/v1/avatars', { headers: { origin: 'https://shop.test' } });
  assert.equal(list.headers.get('access-control-allow-origin'), 'https://shop.test');
  assert.match(list.headers.get('access-control-expose-headers') ?? '', /location/);
  for (const origin of ['https://evil.test', 'https://shop.test.evil.test', 'null']) {
    const answer = await mesh.call('GET', '/v1/avatars', { headers: { origin } });
    assert.equal(answer.headers.get('access-control-allow-origin'), null, origin);
  }
});

test('avatars are listed for authenticated callers; their pictures are public and cacheable', async () => {
  const { body } = await mesh.call<{ avatars: { id: string; name: string; image: string }[]; fps: number }>(
    'GET',
    '/v1/avatars',
    { bearer: session.token },
  );
  const [image, idle] = ['/v1/avatars/ada/image', '/v1/avatars/ada/idle'];
  assert.deepEqual(body.avatars, [
    { id: 'ada', name: 'ADA', style: 'test', image, idle },
    { id: 'bo', name: 'BO', style: 'test', image: '/v1/avatars/bo/image' },
  ]);
  assert.equal(body.fps, 25);
  for (const [path, type, sign] of [
    [image, 'image/png', 'PNG'],
    [idle, 'image/avif', 'ftypavis'],
  ] as const) {
    const picture = await fetch(`${mesh.gateway.url}${path}`);
    assert.equal(picture.headers.get('content-type'), type);
    assert.match(picture.headers.get('cache-control') ?? '', /public, max-age=/);
    assert.ok(
      Buffer.from(await picture.arrayBuffer())
        .subarray(0, 16)
        .includes(sign),
    );
    const again = await fetch(`${mesh.gateway.url}${path}`, {
      headers: { 'if-none-match': picture.headers.get('etag') ?? '' },
    });
    assert.equal(again.status, 304);
  }
  await refuses(mesh.call('GET', '/v1/avatars/unknown/image'), 404, 'AVATAR_NOT_FOUND');
  await refuses(mesh.call('GET', '/v1/avatars/bo/idle'), 404, 'AVATAR_NOT_FOUND');
});

test('the page is served with a content security policy without foreign sources', async () => {
  const page = await mesh.call<string>('GET', '/', { bearer: undefined });
  assert.match(page.body, /data-testid="call"/);
  const policy = page.headers.get('content-security-policy') ?? '';
  assert.match(policy, /default-src 'none'.*script-src 'self'.*connect-src 'self'/);
  assert.doesNotMatch(policy, /unsafe/);
  for (const header of ['x-content-type-options', 'referrer-policy', 'permissions-policy'])
    assert.ok(page.headers.get(header), header);
  const script = await mesh.call<string>('GET', '/page.js', { bearer: undefined });
  assert.match(script.headers.get('content-type') ?? '', /javascript/);
  assert.match(script.body, /RTCPeerConnection/);
  assert.equal((await mesh.call('GET', '/page.css', { bearer: undefined })).status, 200);
});

/** Reads an event stream until it is closed. */
async function listen(path: string, headers: Record<string, string> = {}) {
  const response = await fetch(`${mesh.gateway.url}${path}`, { headers });
  const seen = { status: response.status, text: '', ended: false };
  void (async () => {
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>)
      seen.text += Buffer.from(chunk).toString();
    seen.ended = true;
  })().catch(() => undefined);
  return seen;
}

interface Sent {
  readonly id: string;
  readonly type: string;
  readonly turn: number;
  readonly [field: string]: unknown;
}

/** The events of a stream's text; each has its id on a line of its own. */
const eventsOf = (text: string): Sent[] =>
  [...text.matchAll(/^id: (.*)\nevent: (.*)\ndata: (.*)$/gm)].map(([, id, type, data]) => {
    const event = JSON.parse(data ?? '') as Sent;
    assert.deepEqual([event.id, event.type], [id, type]);
    return event;
  });

test('the event stream has heartbeats and closes at the end of the session; the token may be in the query', async () => {
  const own = await mesh.session();
  const path = `/v1/sessions/${own.session}/events`;
  const byHeader = await listen(path, { authorization: `Bearer ${own.token}` });
  const byQuery = await listen(`${path}?token=${own.token}`);
  assert.deepEqual([byHeader.status, byQuery.status], [200, 200]);
  const bridge = mesh.workers['audio-llm-bridge'].bus;
  bridge.publishEvent({
    sessionId: own.session,
    epoch: 1,
    turn: 2,
    type: 'transcript',
    role: 'avatar',
    text: 'line\nbreak',
    final: true,
  });
  bridge.publish('event', own.session, new TextEncoder().encode('{"v":2,"type":"garbage"}'));
  await until(
    'the event and a heartbeat',
    () => byHeader.text.includes('transcript') && byHeader.text.includes(': heartbeat'),
  );
  const data = /^event: transcript\ndata: (.*)$/m.exec(byHeader.text)?.[1] ?? '';
  const { v, sessionId, epoch, turn, type, text } = JSON.parse(data) as Record<string, unknown>;
  assert.deepEqual([v, sessionId, epoch, turn, type, text], [2, own.session, 1, 2, 'transcript', 'line\nbreak']);
  assert.doesNotMatch(byHeader.text, /garbage/);
  await mesh.call('DELETE', `/v1/sessions/${own.session}`, { bearer: own.token });
  await until('both ends', () => byHeader.ended && byQuery.ended);
  for (const { text: all } of [byHeader, byQuery])
    assert.match(all, /event: session\.ended\ndata: \{.*"cause":"hung-up"/);
  await refuses(mesh.call('GET', `${path}?token=${own.token}`, { bearer: undefined }), 410, 'SESSION_ENDED');
});

test('a stream begins with a snapshot, and continues after the event of Last-Event-ID when there is one', async () => {
  const own = await mesh.session();
  const path = `/v1/sessions/${own.session}/events`;
  const bearer = { authorization: `Bearer ${own.token}` };
  const bridge = mesh.workers['audio-llm-bridge'].bus;
  const publish = (turn: number, body: EventBody): void =>
    bridge.publishEvent({ sessionId: own.session, epoch: 0, turn, ...body });
  const listened = await listen(path, bearer);
  publish(1, { type: 'turn.queued', source: 'text' });
  publish(1, { type: 'turn.started', source: 'text' });
  publish(2, { type: 'turn.queued', source: 'text' });
  await until('three events', () => eventsOf(listened.text).length === 4);
  const [first, , started] = eventsOf(listened.text);
  assert.deepEqual([first?.type, first?.['progress']], ['session.snapshot', AT_REST]);
  const missed = await listen(path, { ...bearer, 'last-event-id': started?.id ?? '' });
  const later = await listen(path, { ...bearer, 'last-event-id': 'an-event-that-was-never-sent' });
  await until('one event each', () => eventsOf(missed.text).length === 1 && eventsOf(later.text).length === 1);
  publish(1, { type: 'turn.finished', interrupted: false, speechMs: 10, heardMs: 10 });
  await until('the live event', () => [missed, later].every(({ text }) => eventsOf(text).length === 2));
  assert.deepEqual(
    eventsOf(missed.text).map(({ type, turn }) => [type, turn]),
    [
      ['turn.queued', 2],
      ['turn.finished', 1],
    ],
  );
  const turns = [
    { turn: 1, source: 'text', audible: true },
    { turn: 2, source: 'text', audible: false },
  ];
  assert.deepEqual(eventsOf(later.text)[0]?.['progress'], { ...AT_REST, turns });
  await mesh.call('DELETE', `/v1/sessions/${own.session}`);
});

test('the number of subscribers of a session is bounded; a closed stream makes room', async () => {
  const own = await mesh.session();
  const path = `/v1/sessions/${own.session}/events`;
  const stop = new AbortController();
  const headers = { authorization: `Bearer ${own.token}` };
  for (let i = 0; i < 8; i += 1)
    assert.equal((await fetch(`${mesh.gateway.url}${path}`, { headers, signal: stop.signal })).status, 200);
  await refuses(mesh.call('GET', path, { bearer: own.token }), 429, 'RATE_LIMITED');
  stop.abort();
  await until('room', async () => (await listen(path, headers)).status === 200);
  await mesh.call('DELETE', `/v1/sessions/${own.session}`);
});

test('a beacon ends the session of its token and no other one', async () => {
  const own = await mesh.session();
  const beacon = (body: unknown, id = own.session, type = 'text/plain;charset=UTF-8') =>
    mesh.call('POST', `/v1/sessions/${id}/beacon`, { body: JSON.stringify(body), type, bearer: undefined });
  await refuses(beacon({ token: own.token }, session.session), 403, 'TOKEN_WRONG_SESSION');
  await refuses(beacon({}), 400, 'ARGUMENT_INVALID');
  await refuses(beacon({ token: 'x' }), 401, 'TOKEN_INVALID');
  await refuses(
    mesh.call('POST', `/v1/sessions/${own.session}/beacon`, { body: 'x', type: 'text/plain', bearer: undefined }),
    400,
    'ARGUMENT_INVALID',
  );
  assert.equal((await mesh.call('GET', `/v1/sessions/${own.session}`)).body['state'], 'open');
  assert.equal((await beacon({ token: own.token })).status, 204);
  assert.equal((await mesh.call('GET', `/v1/sessions/${own.session}`)).body['state'], 'ended');
});

test('the rate is limited per caller; attempts with unknown keys are limited per address', async () => {
  const strict = await mesh.addGateway({ TALKMESH_RATE_LIMIT_PER_SECOND: '0.5', TALKMESH_RATE_LIMIT_BURST: '3' });
  const get = (bearer: string) => mesh.call('GET', `/v1/sessions/${session.session}`, { bearer, gateway: strict });
  for (let i = 0; i < 3; i += 1) assert.equal((await get(session.token)).status, 200);
  const refused = await get(session.token);
  assert.deepEqual([refused.status, refused.body['reason']], [429, 'RATE_LIMITED']);
  assert.ok(Number(refused.headers.get('retry-after')) >= 1);
  assert.equal((await get(API_KEY)).status, 200);
  for (let i = 0; i < 3; i += 1) await refuses(get(`guess-${i}-0123456789`), 401, 'TOKEN_INVALID');
  await refuses(get('guess-4-0123456789'), 429, 'RATE_LIMITED');
  assert.equal((await get(API_KEY)).status, 200);
});

test('a lost worker is PEER_LOST and retryable', async () => {
  const own = await mesh.session();
  const egress = mesh.workers['webrtc-egress'];
  await egress.die();
  await refuses(
    mesh.call('POST', `/v1/whep/${own.session}`, { body: offer('video'), type: 'application/sdp', bearer: own.token }),
    503,
    'PEER_LOST',
  );
});
