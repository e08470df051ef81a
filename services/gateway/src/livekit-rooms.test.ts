/** Sessions that play into a LiveKit room: which servers are allowed, and what the worker is told. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { Metadata } from '@grpc/grpc-js';
import { MeshError, SESSIONS_BUCKET } from '@talkmesh/contracts';
import { v1 } from '@talkmesh/contracts/protos';
import { callUnary, connectClient } from '@talkmesh/service-kit';
import { until } from '@talkmesh/service-kit/testing';
import { decodeJwt, jwtVerify, SignJWT } from 'jose';
import { API_KEY, FakeMesh } from './testing/fake-mesh.js';
import type { FakeWorker } from './testing/fake-worker.js';

const URL_OWN = 'wss://rooms.example.com';
const URL_OTHER = 'ws://127.0.0.1:7880';
const SECRET = 'the secret of the LiveKit key, as long as it should be';
const encode = (text: string) => new TextEncoder().encode(text);

let mesh: FakeMesh;
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'talkmesh-livekit-'));
  const file = join(folder, 'secret');
  await writeFile(file, SECRET, { mode: 0o600 });
  mesh = await FakeMesh.start({
    TALKMESH_LIVEKIT_URLS: `${URL_OWN},${URL_OTHER}`,
    TALKMESH_LIVEKIT_API_KEY: 'apikey',
    TALKMESH_LIVEKIT_API_SECRET_FILE: file,
    TALKMESH_WATCH_MS: '200',
  });
});
after(async () => {
  await mesh?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

afterEach(async () => {
  const { body } = await mesh.call<{ sessions: { id: string }[] }>('GET', '/v1/sessions');
  for (const { id } of body.sessions) await mesh.call('DELETE', `/v1/sessions/${id}`);
});

interface Created {
  readonly session: { readonly id: string; readonly provider: string; readonly transport?: object };
  readonly detail?: string;
  readonly reason?: string;
}

const create = (livekit: object, more: object = {}) =>
  mesh.call<Created>('POST', '/v1/sessions', { body: { avatar: 'ada', transport: { livekit }, ...more } });
const egressOf = (id: string) => mesh.workers['webrtc-egress'].opened.get(id)?.egress;

/** A token as a customer's server makes it. */
const bring = (claims: object = { video: { room: 'lobby', roomJoin: true } }, exp = '1h', identity = 'mia') =>
  new SignJWT({ ...claims })
    .setProtectedHeader({ alg: 'HS256' })
    .setIssuer('their-key')
    .setSubject(identity)
    .setExpirationTime(exp)
    .sign(encode('a secret that only they and their server know'));

test('a token is minted with the least that an avatar needs, and the answer says who is where', async () => {
  const { status, body } = await create({ room: 'lobby', agent: 'agent-7' });
  assert.equal(status, 201, body.detail);
  const identity = `avatar-${body.session.id}`;
  assert.deepEqual(body.session.transport, { livekit: { url: URL_OWN, room: 'lobby', identity } });
  const egress = egressOf(body.session.id);
  assert.equal(egress?.sink, 'SINK_LIVEKIT');
  assert.equal(egress?.livekit?.url, URL_OWN);
  const { payload } = await jwtVerify(egress?.livekit?.token ?? '', encode(SECRET));
  const { exp = 0, nbf = 0, ...claims } = payload;
  assert.deepEqual(claims, {
    iss: 'apikey',
    sub: identity,
    name: identity,
    kind: 'agent',
    attributes: { 'lk.publish_on_behalf': 'agent-7' },
    roomConfig: { syncStreams: true },
    video: {
      room: 'lobby',
      roomJoin: true,
      canSubscribe: false,
      canPublishData: true,
      canPublish: true,
      canPublishSources: ['camera', 'microphone'],
    },
  });
  assert.ok(exp - nbf <= 700, 'it lives for minutes');
});

test('a token that the caller brings reaches the worker unchanged, and the record holds it only encrypted', async () => {
  const token = await bring();
  const { status, body } = await create({ url: `${URL_OTHER}/`, token });
  assert.equal(status, 201, body.detail);
  assert.deepEqual(body.session.transport, { livekit: { url: URL_OTHER, room: 'lobby', identity: 'mia' } });
  assert.deepEqual({ ...egressOf(body.session.id)?.livekit }, { url: URL_OTHER, token, agent: '' });
  const bucket = await mesh.gateway.context.bus.kv(SESSIONS_BUCKET, { ttlMs: 60_000 });
  const records = JSON.stringify(await bucket.list());
  assert.ok(records.includes(body.session.id) && !records.includes(token) && !records.includes(SECRET));
});

test('a session with an agent, named by the caller or by its token, is spoken to by that agent only', async () => {
  const attributes = { 'lk.publish_on_behalf': 'agent-7' };
  const token = await bring({ video: { room: 'lobby', roomJoin: true }, attributes });
  for (const livekit of [
    { room: 'lobby', agent: 'agent-7' },
    { url: URL_OTHER, token },
  ]) {
    const { status, body } = await create(livekit);
    assert.equal(status, 201, body.detail);
    assert.equal(body.session.provider, 'external');
    assert.equal(egressOf(body.session.id)?.livekit?.agent, 'agent-7');
    assert.equal(mesh.workers['audio-llm-bridge'].opened.get(body.session.id)?.bridge?.provider, 'external');
    const refused = await create(livekit, { provider: 'parrot' });
    assert.deepEqual([refused.status, refused.body.reason], [400, 'ARGUMENT_INVALID']);
  }
});

const ingestOf = (id: string) => mesh.workers['audio-ingest'].opened.get(id)?.ingest;

test('a room that is heard: the hidden participant may subscribe and nothing else, and the avatar still may not', async () => {
  const microphone = { identity: 'caller', attributes: { role: 'guest' } };
  const { status, body } = await create({ room: 'lobby', microphone });
  assert.equal(status, 201, body.detail);
  const { id } = body.session;
  const { vad, room } = ingestOf(id) ?? {};
  assert.equal(vad, true);
  assert.ok(room != null);
  const { token, ...rest } = room;
  const wanted = { url: URL_OWN, ...microphone, avatar: `avatar-${id}` };
  assert.deepEqual({ ...rest, attributes: { ...rest.attributes } }, wanted);
  const { payload } = await jwtVerify(token, encode(SECRET));
  const { exp: _exp, nbf: _nbf, ...claims } = payload;
  assert.deepEqual(claims, {
    ...{ iss: 'apikey', sub: `listener-${id}`, name: `listener-${id}`, kind: 'agent' },
    video: {
      room: 'lobby',
      roomJoin: true,
      hidden: true,
      canSubscribe: true,
      canPublish: false,
      canPublishData: false,
    },
  });
  const avatar = decodeJwt<{ video: { canSubscribe: boolean } }>(egressOf(id)?.livekit?.token ?? '');
  assert.equal(avatar.video.canSubscribe, false);
  const plain = await create({ room: 'lobby' });
  assert.equal(ingestOf(plain.body.session.id)?.room, null);
});

test('without a key the caller brings the token of the hidden participant too, which is stored only encrypted', async () => {
  const token = await bring();
  const listener = await bring({ video: { room: 'lobby', roomJoin: true, hidden: true } }, '1h', 'ear');
  const { status, body } = await create({ url: URL_OTHER, token, microphone: { token: listener } });
  assert.equal(status, 201, body.detail);
  assert.equal(ingestOf(body.session.id)?.room?.token, listener);
  const bucket = await mesh.gateway.context.bus.kv(SESSIONS_BUCKET, { ttlMs: 60_000 });
  assert.ok(!JSON.stringify(await bucket.list()).includes(listener));
});

test('a token need not name what the server grants by itself, nor data without an agent', async () => {
  for (const grant of [{ canPublishSources: [] }, { canPublishData: false }, { canPublish: true }]) {
    const token = await bring({ video: { room: 'lobby', roomJoin: true, ...grant } });
    assert.equal((await create({ token })).status, 201, JSON.stringify(grant));
  }
});

test('the same over gRPC', async () => {
  const client = connectClient(v1.SessionService, mesh.gateway.grpcAddress);
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${API_KEY}`);
  const options = { deadlineMs: 5000, metadata };
  type Answer = { session: { id: string; livekit: object } };
  const wanted = { avatar: 'ada', livekit: { room: 'lobby', identity: 'mia' } };
  const { session } = await callUnary<object, Answer>(client, 'createSession', wanted, options);
  assert.deepEqual({ ...session.livekit }, { url: URL_OWN, room: 'lobby', identity: 'mia' });
  const microphone = { identity: 'caller', attributes: { role: 'guest' } };
  const heard = await callUnary<object, Answer>(
    client,
    'createSession',
    { ...wanted, livekit: { room: 'lobby', microphone } },
    options,
  );
  const { identity, attributes } = ingestOf(heard.session.id)?.room ?? {};
  assert.deepEqual({ identity, attributes: { ...attributes } }, microphone);
  const plain = await callUnary<object, Answer>(client, 'createSession', { avatar: 'ada' }, options);
  assert.equal(plain.session.livekit, null);
  const foreign = callUnary(
    client,
    'createSession',
    { avatar: 'ada', livekit: { url: 'ws://evil', room: 'x' } },
    options,
  );
  await assert.rejects(foreign, (error) => error instanceof MeshError && error.reason === 'ARGUMENT_INVALID');
  client.close();
});

test('what cannot work is refused before a worker is asked, with what to do', async () => {
  const before = mesh.workers['webrtc-egress'].opened.size;
  const cases: [RegExp, object, object?][] = [
    [/not among the LiveKit servers/, { url: 'wss://169.254.169.254', room: 'lobby' }],
    [/not among the LiveKit servers/, { url: 'http://rooms.example.com', room: 'lobby' }],
    [/no key for that LiveKit server/, { url: URL_OTHER, room: 'lobby' }],
    [/needs either token or room/, {}],
    [/needs either token or room/, { room: 'lobby', token: await bring() }],
    [/leave identity out/, { token: await bring(), identity: 'x' }],
    [/must be a LiveKit access token/, { token: 'nonsense' }],
    [/must be a LiveKit access token/, { token: await bring({}) }],
    [/must be a LiveKit access token/, { token: await bring({ video: { room: 'lobby', roomJoin: true } }, '-1h') }],
    ...(await Promise.all(
      [{ canPublish: false }, { canPublishSources: ['microphone'] }, { canPublishData: false }].map(
        async (grant): Promise<[RegExp, object]> => {
          const token = await bring({ video: { room: 'lobby', roomJoin: true, ...grant } });
          return [/must have the grant canPublish/, { token, agent: 'agent-7' }];
        },
      ),
    )),
    [/must be a LiveKit access token/, { token: await bring({ video: { room: '', roomJoin: true } }) }],
    [/must be a LiveKit access token/, { token: await bring(undefined, '1h', 'i'.repeat(257)) }],
    [/give the avatar its own/, { room: 'lobby', identity: 'mia', agent: 'mia' }],
    [/give the avatar its own/, { token: await bring(), agent: 'mia' }],
    [/leave transport out/, { room: 'lobby' }, { output: 'record' }],
    [/the agent hears the room/, { room: 'lobby', agent: 'agent-7', microphone: {} }],
    [/hears no user/, { room: 'lobby', microphone: {} }, { provider: 'external' }],
    [/is that of the avatar/, { room: 'lobby', identity: 'mia', microphone: { identity: 'mia' } }],
    [/microphone.token, a token for a hidden/, { url: URL_OTHER, token: await bring(), microphone: {} }],
    ...[
      await bring(),
      await bring({ video: { room: 'other', roomJoin: true, hidden: true } }, '1h', 'ear'),
      await bring({ video: { room: 'lobby', roomJoin: true, hidden: true, canSubscribe: false } }, '1h', 'ear'),
    ].map((token): [RegExp, object] => [
      /for an identity of its own/,
      { room: 'lobby', identity: 'mia', microphone: { token } },
    ]),
    ...(await Promise.all(
      [undefined, false, 'true'].map(async (hidden): Promise<[RegExp, object]> => {
        const token = await bring({ video: { room: 'lobby', roomJoin: true, hidden } }, '1h', 'ear');
        return [/must have the grant hidden: true/, { room: 'lobby', identity: 'mia', microphone: { token } }];
      }),
    )),
    [
      /at most 10 attributes/,
      { room: 'lobby', microphone: { attributes: Object.fromEntries(Array.from({ length: 11 }, (_, i) => [i, ''])) } },
    ],
  ];
  for (const [detail, livekit, more] of cases) {
    const { status, body } = await create(livekit, more);
    assert.deepEqual([status, body.reason], [400, 'ARGUMENT_INVALID'], JSON.stringify(livekit));
    assert.match(body.detail ?? '', detail);
  }
  assert.equal(mesh.workers['webrtc-egress'].opened.size, before);
});

test('a room that refuses the avatar is reported as that, and no other worker is asked', async () => {
  const worker = mesh.workers['webrtc-egress'];
  const message = 'the LiveKit server ended the join';
  for (const [reason, status] of [
    ['ROOM_REFUSED', 403],
    ['ROOM_UNREACHABLE', 502],
  ] as const) {
    worker.onOpen = async () => {
      throw new MeshError(reason, message);
    };
    const answer = await create({ room: 'lobby' });
    assert.deepEqual([answer.status, answer.body.reason], [status, reason]);
  }
  worker.onOpen = async () => undefined;
});

test('a deployment without LiveKit servers says which setting is missing', async () => {
  await using plain = await mesh.addGateway();
  const body = { avatar: 'ada', transport: { livekit: { room: 'lobby' } } };
  const answer = await mesh.call<Created>('POST', '/v1/sessions', { body, gateway: plain });
  assert.deepEqual([answer.status, answer.body.reason], [400, 'ARGUMENT_INVALID']);
  assert.match(answer.body.detail ?? '', /TALKMESH_LIVEKIT_URLS/);
});

test('another worker that takes the session over gets a token for the same identity, whichever gateway notices first', async () => {
  // Without the key, as while it is rolled out; it looks more often, so it is mostly first.
  await using _plain = await mesh.addGateway({ TALKMESH_WATCH_MS: '20' });
  const second = await mesh.addWorker({ service: 'webrtc-egress' });
  const first = mesh.workers['webrtc-egress'];
  const movesTo = async (worker: FakeWorker, ids: readonly string[]): Promise<void> => {
    for (const id of ids) {
      await until('the move', () => worker.opened.has(id), 20_000);
      assert.equal(decodeJwt(worker.opened.get(id)?.egress?.livekit?.token ?? '').sub, 'mia');
    }
  };
  const tokens = [
    await create({ token: await bring(), url: URL_OTHER }),
    await create({ room: 'lobby', identity: 'mia' }),
  ];
  const ids = tokens.map(({ body }) => body.session.id);
  for (const id of ids) assert.ok(first.opened.has(id) || second.opened.has(id));
  await first.drain();
  await movesTo(second, ids);
  await first.register({ state: 'ready' });
  // Both gateways know the worker by now.
  await new Promise((resolve) => setTimeout(resolve, 600));
  await second.die();
  await movesTo(first, ids);
});
