/** A grant opens sessions over REST, gRPC and the Realtime protocol, within the same bounds. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Metadata } from '@grpc/grpc-js';
import { MeshError, SESSIONS_BUCKET, type SessionRecord } from '@talkmesh/contracts';
import { v1 } from '@talkmesh/contracts/protos';
import { callUnary, connectClient } from '@talkmesh/service-kit';
import { until } from '@talkmesh/service-kit/testing';
import { SignJWT } from 'jose';
import { WebSocket } from 'ws';
import { API_KEY, FakeMesh, TOKEN_SECRET } from './testing/fake-mesh.js';

const SHOP = 'https://shop.example.com';
const EVIL = 'https://evil.example.com';
const OTHER_KEY = 'another-key-of-the-test-1234';
let mesh: FakeMesh;
let grpc: InstanceType<typeof v1.SessionService>;
before(async () => {
  mesh = await FakeMesh.start({ TALKMESH_API_KEYS: `shop:${API_KEY},other:${OTHER_KEY}`, TALKMESH_CORS_ORIGINS: '*' });
  grpc = connectClient(v1.SessionService, mesh.gateway.grpcAddress);
});
after(async () => {
  grpc.close();
  await mesh[Symbol.asyncDispose]();
});

async function grant(body: object): Promise<string> {
  const answer = await mesh.call<{ grant: string }>('POST', '/v1/grants', { body });
  assert.equal(answer.status, 201);
  return answer.body.grant;
}

interface Wanted {
  readonly avatar?: string;
  readonly provider?: string;
  readonly origin?: string;
}

interface Opened {
  /** Undefined: the session was opened. */
  readonly reason?: string;
  readonly detail?: string;
  close(): Promise<void>;
}
type Open = (bearer: string, wanted: Wanted) => Promise<Opened>;

const live = async (): Promise<SessionRecord[]> => {
  const bucket = await mesh.gateway.context.bus.kv(SESSIONS_BUCKET, { ttlMs: 60_000 });
  return (await bucket.list<SessionRecord>()).map(({ value }) => value).filter(({ state }) => state !== 'ended');
};
async function endAll(): Promise<void> {
  for (const { id } of await live()) await mesh.call('DELETE', `/v1/sessions/${id}`);
}

const overRest: Open = async (bearer, { origin, ...wanted }) => {
  const { status, body } = await mesh.call<{ reason?: string; detail?: string }>('POST', '/v1/sessions', {
    ...{ bearer, body: { avatar: 'bo', ...wanted } },
    ...(origin !== undefined && { headers: { origin } }),
  });
  return status === 201 ? { close: endAll } : { ...body, close: endAll };
};

const overGrpc: Open = async (bearer, { origin, ...wanted }) => {
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${bearer}`);
  if (origin !== undefined) metadata.set('origin', origin);
  const options = { deadlineMs: 5000, metadata };
  return callUnary<object, object>(grpc, 'createSession', { avatar: 'bo', ...wanted }, options).then(
    () => ({ close: endAll }),
    (thrown: unknown) => {
      const { reason, message: detail } = MeshError.from(thrown);
      return { reason, detail, close: endAll };
    },
  );
};

/** As browsers send it. */
function connectRealtime(bearer: string, { avatar, provider, origin }: Wanted): WebSocket {
  const query = new URLSearchParams({
    ...(avatar !== undefined && { avatar }),
    ...(provider !== undefined && { model: provider }),
  });
  return new WebSocket(
    `${mesh.gateway.url.replace('http', 'ws')}/v1/realtime?${query}`,
    ['realtime', `openai-insecure-api-key.${bearer}`],
    origin === undefined ? {} : { origin },
  );
}

interface RealtimeError {
  readonly code: string;
  readonly message: string;
}

const overRealtime: Open = async (bearer, wanted) => {
  const socket = connectRealtime(bearer, wanted);
  const close = async (): Promise<void> => {
    socket.terminate();
    await until('the end', async () => (await live()).length === 0);
  };
  const refusal = await new Promise<{ reason: string; detail: string } | undefined>((resolve, reject) => {
    socket.once('open', () => resolve(undefined));
    socket.once('error', reject);
    socket.once('unexpected-response', (_, response) => {
      let text = '';
      response.on('data', (part: Buffer) => {
        text += part.toString();
      });
      response.on('end', () => resolve(JSON.parse(text) as { reason: string; detail: string }));
    });
  });
  if (refusal !== undefined) return { ...refusal, close: endAll };
  const before = (await live()).length;
  const error = await firstWords(socket, async () => (await live()).length > before);
  return error === undefined ? { close } : { reason: error.code.toUpperCase(), detail: error.message, close };
};

/** Has the session opened. @returns the error that answers; undefined: `isOpen` came true */
async function firstWords(socket: WebSocket, isOpen: () => Promise<boolean>): Promise<RealtimeError | undefined> {
  let error: RealtimeError | undefined;
  socket.on('message', (data) => {
    const event = JSON.parse(String(data)) as { type: string; error?: RealtimeError };
    if (event.type === 'error') error ??= event.error;
  });
  const pre_generated_assistant_message = { content: [{ type: 'text', text: 'Hello.' }] };
  socket.send(JSON.stringify({ type: 'response.create', response: { pre_generated_assistant_message } }));
  await until('an answer', async () => error !== undefined || (await isOpen()));
  return error;
}

/** A grant that was issued a minute ago. */
const signed = (owner: string, expiresInS: number): Promise<string> =>
  new SignJWT({ sub: owner, aud: 'talkmesh-grant', grant: { maxSessions: 1 } })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setIssuedAt(Math.floor(Date.now() / 1000) - 60)
    .setExpirationTime(Math.floor(Date.now() / 1000) + expiresInS)
    .setJti(randomUUID())
    .sign(new TextEncoder().encode(TOKEN_SECRET));

for (const [name, open] of [
  ['REST', overRest],
  ['gRPC', overGrpc],
  ['the Realtime protocol', overRealtime],
] as const) {
  test(`${name}: a grant opens a session within its bounds, in the name of the key, and no more than it allows`, async () => {
    const bearer = await grant({
      ...{ avatars: ['bo'], providers: ['cascade', 'parrot'], maxSeconds: 60, idleSeconds: 30, origins: [SHOP] },
    });
    const first = await open(bearer, { origin: SHOP });
    assert.deepEqual([first.reason, first.detail], [undefined, undefined]);
    const [record] = await live();
    assert.ok(record !== undefined);
    const { owner, avatar, provider, limits } = record;
    assert.deepEqual([owner, avatar, provider], ['shop', 'bo', 'cascade']);
    assert.deepEqual([limits?.maxMs, limits?.idleMs, limits?.origins], [60_000, 30_000, [SHOP]]);
    const second = await open(bearer, { provider: 'parrot', origin: SHOP });
    assert.equal(second.reason, 'SESSION_LIMIT');
    await first.close();
    await second.close();
  });

  test(`${name}: what a grant does not allow is refused`, async () => {
    const bearer = await grant({ avatars: ['bo'], providers: ['parrot'], origins: [SHOP] });
    const expired = await signed('shop', -1);
    for (const [credential, wanted, reason, detail] of [
      [bearer, { avatar: 'ada' }, 'PERMISSION_DENIED', /the avatar ada/],
      [bearer, { provider: 'cascade' }, 'PERMISSION_DENIED', /the provider cascade/],
      [bearer, { origin: EVIL }, 'PERMISSION_DENIED', /evil\.example\.com/],
      [expired, {}, 'TOKEN_EXPIRED', /grant has expired/],
      [await signed('a key that is gone', 60), {}, 'TOKEN_INVALID', /no longer valid/],
      [(await mesh.session()).token, {}, 'PERMISSION_DENIED', /session token/],
    ] as const) {
      if (name === 'the Realtime protocol' && detail.source === 'session token') continue;
      const opened = await open(credential, wanted);
      assert.equal(opened.reason, reason, `${detail}`);
      assert.match(opened.detail ?? '', detail);
      await endAll();
    }
  });
}

test('the session of a Realtime connection that is opened later needs a grant that is valid then, and what it asks for by then', async () => {
  const changed = connectRealtime(await grant({ avatars: ['bo'] }), {});
  await new Promise((resolve) => changed.once('open', resolve));
  changed.send(JSON.stringify({ type: 'session.update', session: { avatar: { character: 'ada' } } }));
  const isOpen = async (): Promise<boolean> => (await live()).length > 0;
  const refused = await firstWords(changed, isOpen);
  assert.deepEqual([refused?.code], ['permission_denied'], refused?.message);
  assert.match(refused?.message ?? '', /the avatar ada/);

  const late = connectRealtime(await signed('shop', 5), {});
  await new Promise((resolve) => late.once('open', resolve));
  await new Promise((resolve) => setTimeout(resolve, 6000));
  const expired = await firstWords(late, isOpen);
  assert.deepEqual([expired?.code], ['token_expired'], expired?.message);
  assert.equal((await live()).length, 0);
  changed.terminate();
  late.terminate();
});

test('a grant in a URL is refused: proxies, histories and logs keep URLs', async () => {
  const bearer = await grant({});
  const answer = await mesh.call<{ detail: string }>('GET', `/v1/realtime?token=${bearer}`, { bearer: undefined });
  assert.equal(answer.status, 401);
  assert.match(answer.body.detail, /do not belong in a URL/);
});
