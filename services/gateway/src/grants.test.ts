import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ConversationOffer, EventBody } from '@talkmesh/contracts';
import { until } from '@talkmesh/service-kit/testing';
import { parseApiKeys } from './api-keys.js';
import { Auth } from './auth.js';
import { API_KEY, FakeMesh, TOKEN_SECRET } from './testing/fake-mesh.js';
import { OFFER } from './testing/fake-worker.js';

const SHOP = 'https://shop.example.com';
let mesh: FakeMesh;
before(async () => {
  mesh = await FakeMesh.start({
    TALKMESH_API_KEYS: `shop:${API_KEY}`,
    TALKMESH_SWEEP_MS: '50',
    TALKMESH_CORS_ORIGINS: '*',
  });
});
after(() => mesh[Symbol.asyncDispose]());

interface Problem {
  readonly reason: string;
  readonly detail: string;
}

async function grant(body: object): Promise<string> {
  const { status, body: answer } = await mesh.call<{ grant: string; grantExpiresAtMs: number }>('POST', '/v1/grants', {
    body,
  });
  assert.equal(status, 201);
  assert.ok(answer.grantExpiresAtMs > Date.now());
  return answer.grant;
}

const open = (bearer: string, body: object, headers: Record<string, string> = {}) =>
  mesh.call<Problem & { session: { id: string; avatar: string; provider: string }; token: string }>(
    'POST',
    '/v1/sessions',
    {
      ...{ bearer, body, headers },
    },
  );
const end = (id: string) => mesh.call('DELETE', `/v1/sessions/${id}`);
const stateOf = async (id: string): Promise<string> =>
  (await mesh.call<{ state: string }>('GET', `/v1/sessions/${id}`)).body.state;

test('a page opens a session with a grant: its avatar and provider, in the name of the key', async () => {
  const bearer = await grant({ avatars: ['bo'], providers: ['parrot', 'external'] });
  const { status, body } = await open(bearer, { avatar: 'bo' });
  assert.equal(status, 201);
  assert.deepEqual([body.session.avatar, body.session.provider], ['bo', 'parrot']);
  const mine = await mesh.call<{ sessions: { id: string }[] }>('GET', '/v1/sessions');
  assert.deepEqual(
    mine.body.sessions.map(({ id }) => id),
    [body.session.id],
  );
  assert.doesNotMatch(JSON.stringify(mine.body), /grant/);
  await end(body.session.id);
});

test('what a grant does not allow is refused in words, and it is good for nothing else', async () => {
  const bearer = await grant({ avatars: ['bo'], providers: ['parrot'] });
  for (const [body, what] of [
    [{ avatar: 'ada' }, /the avatar ada/],
    [{ avatar: 'bo', provider: 'external' }, /the provider external/],
    [{ avatar: 'bo', instructions: 'Be a pirate.' }, /instructions/],
    [{ avatar: 'bo', tools: [{ name: 'x' }] }, /tools/],
    [{ avatar: 'bo', providerKey: 'k' }, /key/],
    [{ avatar: 'bo', output: 'record' }, /recordings/],
  ] as const) {
    const answer = await open(bearer, body);
    assert.deepEqual([answer.status, answer.body.reason], [403, 'PERMISSION_DENIED'], JSON.stringify(body));
    assert.match(answer.body.detail, what);
  }
  const { session } = await mesh.session();
  for (const [method, path, body] of [
    ['GET', '/v1/sessions', undefined],
    ['GET', `/v1/sessions/${session}`, undefined],
    ['DELETE', `/v1/sessions/${session}`, undefined],
    ['POST', `/v1/sessions/${session}/say`, { text: 'x' }],
    ['POST', `/v1/sessions/${session}/token`, {}],
    ['POST', '/v1/grants', {}],
  ] as const)
    assert.equal((await mesh.call(method, path, { bearer, body })).status, 403, `${method} ${path}`);
  await end(session);
});

test('what can be chosen is listed for every caller, and for a grant only what it allows', async () => {
  type Offer = ConversationOffer & { readonly default: string };
  const list = async (bearer?: string): Promise<Offer> =>
    (await mesh.call<Offer>('GET', '/v1/providers', bearer === undefined ? {} : { bearer })).body;
  const quality = { default: 'balanced', choices: [{ name: 'balanced', size: '3x1', cost: 1 }] };
  const size = { default: 64, choices: [{ size: 64, width: 64, height: 64, cost: 1 }] };
  assert.deepEqual(await list(), { default: 'parrot', ...OFFER, quality, size });
  const granted = await list(await grant({ providers: ['cascade', 'gone'] }));
  assert.deepEqual([granted.default, granted.providers.map(({ name }) => name)], ['cascade', ['cascade']]);
  assert.equal((await mesh.call('GET', '/v1/providers', { bearer: undefined })).status, 401);

  const [parrot] = OFFER.providers;
  const other = await mesh.addWorker({ service: 'audio-llm-bridge' });
  await other.register({ offer: { providers: parrot === undefined ? [] : [parrot], choices: ['language'] } });
  const both = await list();
  assert.deepEqual(
    [both.providers, both.choices],
    [[parrot], ['language']],
    'what holds whichever bridge gets the session',
  );

  const name = 'cascade';
  const limited = (voices: string[], onlyTheseVoices: boolean): Promise<void> =>
    other.register({
      offer: { providers: [{ name, input: ['push-to-talk'], voices, onlyTheseVoices }], choices: [] },
    });
  await limited(['echo', 'alloy'], true);
  const common = { name, input: ['push-to-talk'], onlyTheseVoices: true };
  assert.deepEqual((await list()).providers, [{ ...common, voices: ['alloy'] }]);
  await limited([], false);
  assert.deepEqual(
    (await list()).providers,
    [{ ...common, voices: ['nova', 'alloy'] }],
    'a bridge that allows every voice',
  );
  await other.register({
    offer: {
      providers: [{ name: 'parrot', input: ['voice-activity'], voices: ['en-gb'], onlyTheseVoices: true }],
      choices: [],
    },
  });
  assert.deepEqual((await list()).providers, other.record.offer?.providers, 'the other bridge limits the voices');
  await other.leaveRegistry();
});

test('a grant has as many open sessions as it says, one by default', async () => {
  const bearer = await grant({});
  const first = await open(bearer, { avatar: 'ada' });
  const second = await open(bearer, { avatar: 'ada' });
  assert.deepEqual([first.status, second.status, second.body.reason], [201, 429, 'SESSION_LIMIT']);
  await end(first.body.session.id);
  const third = await open(bearer, { avatar: 'ada' });
  assert.equal(third.status, 201);
  await end(third.body.session.id);
});

test('pages of other origins can use neither the grant nor the token of its session, also after a renewal', async () => {
  const bearer = await grant({ origins: [SHOP] });
  assert.equal((await open(bearer, { avatar: 'ada' }, { origin: 'https://evil.example.com' })).status, 403);
  const { body } = await open(bearer, { avatar: 'ada' }, { origin: SHOP });
  const path = `/v1/sessions/${body.session.id}`;
  const get = (token: string, origin?: string) =>
    mesh.call('GET', path, { bearer: token, headers: origin === undefined ? {} : { origin } });
  const renewed = await mesh.call<{ token: string }>('POST', `${path}/token`, {
    bearer: body.token,
    headers: { origin: SHOP },
  });
  for (const token of [body.token, renewed.body.token]) {
    assert.equal((await get(token, SHOP)).status, 200);
    assert.equal((await get(token)).status, 200, 'a program that is no browser');
    assert.equal((await get(token, 'https://evil.example.com')).status, 403);
  }
  await end(body.session.id);
});

test('a session ends when neither side speaks, and not while one does', async () => {
  const idle = await open(API_KEY, { avatar: 'ada', idleSeconds: 5 });
  const busy = await open(API_KEY, { avatar: 'ada', idleSeconds: 5 });
  const { bus } = mesh.workers['audio-llm-bridge'];
  const tell = (turn: number, body: EventBody): void =>
    bus.publishEvent({ sessionId: busy.body.session.id, epoch: 0, turn, ...body });
  tell(1, { type: 'turn.queued', source: 'text' });
  tell(1, { type: 'turn.started', source: 'text' });
  await until('the silent one to end', async () => (await stateOf(idle.body.session.id)) === 'ended');
  assert.equal(await stateOf(busy.body.session.id), 'open', 'its turn goes on');
  tell(1, { type: 'turn.finished', interrupted: false, speechMs: 1, heardMs: 1 });
  await until('the other to end', async () => (await stateOf(busy.body.session.id)) === 'ended');
});

test('a session ends after its own longest time', { timeout: 60_000 }, async () => {
  const bearer = await grant({ maxSeconds: 10 });
  const { body } = await open(bearer, { avatar: 'ada', maxSeconds: 3600 });
  assert.equal(await stateOf(body.session.id), 'open');
  await until('the end', async () => (await stateOf(body.session.id)) === 'ended', 40_000);
});

test('a grant ends with the key that issued it, and is no session token', async () => {
  const secrets = (keys: string) => ({ apiKeys: parseApiKeys(keys).keys, tokenSecrets: [TOKEN_SECRET] });
  const auth = new Auth({ secrets: secrets(`shop:${API_KEY}`), tokenTtlMs: 600_000 });
  const key = await auth.identify(`Bearer ${API_KEY}`);
  assert.ok(key.kind === 'key');
  const { grant: token } = await auth.issueGrant(key, { maxSessions: 1 }, 60);
  assert.equal((await auth.identify(`Bearer ${token}`)).kind, 'grant');
  auth.replaceSecrets(secrets('other:another-key-of-the-test-1234'));
  await assert.rejects(auth.identify(`Bearer ${token}`), { reason: 'TOKEN_INVALID', message: /no longer valid/ });
  const many = Array.from({ length: 20 }, (_, i) => `https://${'a'.repeat(180)}${i}.example`);
  await assert.rejects(auth.issueGrant(key, { maxSessions: 1, origins: many }, 60), { reason: 'ARGUMENT_INVALID' });
});
