import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { Metadata } from '@grpc/grpc-js';
import { type MeshError, newSessionId, SESSIONS_BUCKET } from '@talkmesh/contracts';
import { v1 } from '@talkmesh/contracts/protos';
import { callUnary, connectClient, fromServiceError } from '@talkmesh/service-kit';
import { FakeMesh, offer } from './testing/fake-mesh.js';
import { plainPng } from './testing/pictures.js';

const SHOP = 'shop-key-0123456789abcdef';
const OTHER = 'other-key-0123456789abcdef';
const ADMIN = 'admin-key-0123456789abcdef';
const TALKMESH_API_KEYS = `shop:${SHOP},other:${OTHER},ops/admin:${ADMIN}`;

const lines: string[] = [];
let mesh: FakeMesh;
let grpc: InstanceType<typeof v1.SessionService>;
before(async () => {
  mesh = await FakeMesh.start(
    { TALKMESH_API_KEYS, TALKMESH_PICTURE_DEADLINE_MS: '60000' },
    (line) => void lines.push(line),
  );
  grpc = connectClient(v1.SessionService, mesh.gateway.grpcAddress);
});
after(async () => {
  grpc.close();
  await mesh[Symbol.asyncDispose]();
});

afterEach(async () => {
  const { body } = await mesh.call<{ sessions: { id: string }[] }>('GET', '/v1/sessions', { bearer: ADMIN });
  for (const { id } of body.sessions) await mesh.call('DELETE', `/v1/sessions/${id}`, { bearer: ADMIN });
});

interface Created {
  readonly session: { readonly id: string };
  readonly token: string;
}
async function created(bearer: string, avatar = 'ada'): Promise<Created> {
  const { status, body } = await mesh.call<Created>('POST', '/v1/sessions', { body: { avatar }, bearer });
  assert.equal(status, 201, JSON.stringify(body));
  return body;
}
const over = async (method: string, request: object, bearer: string): Promise<unknown> => {
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${bearer}`);
  return callUnary(grpc, method, request, { deadlineMs: 15_000, metadata });
};
const audits = () =>
  lines.map((line) => JSON.parse(line) as Record<string, unknown>).filter(({ audit }) => audit === true);

test('an API key has a limit of its own for sessions and for pictures, which another key and an admin key do not use up', async () => {
  const gateway = await mesh.addGateway({
    TALKMESH_API_KEYS,
    TALKMESH_MAX_SESSIONS_PER_KEY: '1',
    TALKMESH_MAX_AVATARS_PER_KEY: '1',
  });
  const create = (bearer: string) =>
    mesh.call<{ reason?: string; detail?: string }>('POST', '/v1/sessions', {
      body: { avatar: 'ada' },
      bearer,
      gateway,
    });
  const bucket = await gateway.context.bus.kv(SESSIONS_BUCKET, { ttlMs: 60_000 });
  assert.equal((await create(SHOP)).status, 201);
  const records = (await bucket.list()).length;
  const { status, body } = await create(SHOP);
  assert.equal((await bucket.list()).length, records, 'a refused session leaves no record');
  assert.deepEqual([status, body.reason], [429, 'SESSION_LIMIT']);
  assert.match(body.detail ?? '', /TALKMESH_MAX_SESSIONS_PER_KEY/);
  for (const bearer of [OTHER, ADMIN, ADMIN]) assert.equal((await create(bearer)).status, 201);

  const upload = (shade: number, bearer: string) => {
    const image = plainPng(200, 100, { shade }).toString('base64');
    return mesh.call<{ id: string; reason?: string }>('POST', '/v1/avatars', {
      body: { image, name: 'Me' },
      bearer,
      gateway,
    });
  };
  const first = await upload(70, SHOP);
  assert.equal(first.status, 201);
  assert.equal((await upload(70, SHOP)).status, 201, 'the same picture once more');
  const second = await upload(90, SHOP);
  assert.deepEqual([second.status, second.body.reason], [429, 'AVATAR_LIMIT']);
  const other = await upload(90, OTHER);
  assert.equal(other.status, 201);
  await mesh.call('DELETE', `/v1/avatars/${first.body.id}`, { bearer: SHOP });
  await mesh.call('DELETE', `/v1/avatars/${other.body.id}`, { bearer: OTHER });
});

test('to another key a session is as if it did not exist, in every operation of REST', async () => {
  const { session } = await created(SHOP);
  const { body } = await mesh.call<{
    paths: Record<string, Record<string, { operationId: string; security?: unknown[] }>>;
  }>('GET', '/openapi.json');
  let checked = 0;
  for (const [path, methods] of Object.entries(body.paths)) {
    if (!path.includes('{id}') || path.startsWith('/v1/avatars')) continue;
    for (const [method, { security }] of Object.entries(methods)) {
      if (security !== undefined) continue;
      const ask = (id: string, bearer: string) =>
        mesh.call(method.toUpperCase(), path.replace('{id}', id).replace('{resource}', 'r-1'), {
          bearer,
          ...(method === 'post' ? { body: offer('audio', 'video'), type: 'application/sdp' } : {}),
        });
      const [foreign, unknown] = [await ask(session.id, OTHER), await ask(newSessionId(), OTHER)];
      assert.deepEqual([foreign.status, foreign.body], [unknown.status, unknown.body], `${method} ${path}`);
      // A recording outlives its session.
      const reason = path.includes('/recording') ? 'NOT_FOUND' : 'SESSION_NOT_FOUND';
      assert.equal((foreign.body as { reason?: string }).reason, reason, `${method} ${path}`);
      checked += 1;
    }
  }
  assert.ok(checked >= 11, `${checked} operations were checked`);
  assert.equal((await mesh.call('GET', `/v1/sessions/${session.id}`, { bearer: SHOP })).status, 200, 'it is untouched');
});

test('to another key a session is as if it did not exist, in every operation of gRPC', async () => {
  const { session } = await created(SHOP);
  const sessionId = session.id;
  const refused = (call: Promise<unknown>): Promise<void> =>
    assert.rejects(call, (error: MeshError) => error.reason === 'SESSION_NOT_FOUND');
  for (const method of ['getSession', 'interruptSession', 'pauseSession', 'resumeSession', 'startInput', 'endSession'])
    await refused(over(method, { sessionId }, OTHER));
  await refused(over('saySession', { sessionId, text: 'hello' }, OTHER));
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${OTHER}`);
  const watch = grpc.watchEvents({ sessionId }, metadata);
  const record = connectClient(v1.RecordService, mesh.gateway.grpcAddress);
  const recording = record.record({ sessionId }, metadata);
  for (const stream of [watch, recording]) {
    const error = await new Promise<unknown>((resolve) => stream.on('error', resolve).resume());
    assert.equal(fromServiceError(error).reason, 'SESSION_NOT_FOUND');
  }
  record.close();
  const audio = connectClient(v1.AudioIngest, mesh.gateway.grpcAddress);
  const answer = new Promise<unknown>((resolve) => {
    const stream = audio.streamAudio(metadata, (error) => resolve(error));
    stream.on('error', () => undefined);
    stream.write({ sessionId, pcm: Buffer.alloc(960) });
  });
  assert.equal(fromServiceError(await answer).reason, 'SESSION_NOT_FOUND');
  audio.close();
});

test('lists hold what the key made; an admin key sees and ends everything, which is written to the audit log', async () => {
  const [shop, other] = [await created(SHOP), await created(OTHER)];
  const ids = async (bearer: string): Promise<string[]> => {
    const { body } = await mesh.call<{ sessions: { id: string; owner?: string }[] }>('GET', '/v1/sessions', { bearer });
    assert.ok(body.sessions.every(({ owner }) => owner === undefined));
    const { sessions } = (await over('listSessions', {}, bearer)) as { sessions: { id: string }[] };
    assert.deepEqual(
      sessions.map(({ id }) => id),
      body.sessions.map(({ id }) => id),
    );
    return sessions.map(({ id }) => id);
  };
  assert.ok((await ids(SHOP)).includes(shop.session.id));
  assert.ok(!(await ids(SHOP)).includes(other.session.id));
  assert.deepEqual(
    [shop, other].map(({ session }) => session.id).filter((id) => id === other.session.id),
    await ids(OTHER),
  );
  assert.ok((await ids(ADMIN)).includes(shop.session.id) && (await ids(ADMIN)).includes(other.session.id));

  const before = audits().length;
  assert.equal((await mesh.call('DELETE', `/v1/sessions/${other.session.id}`, { bearer: ADMIN })).status, 204);
  await over('getSession', { sessionId: shop.session.id }, ADMIN);
  await mesh.call('GET', `/v1/sessions/${shop.session.id}`, { bearer: SHOP });
  assert.deepEqual(
    audits()
      .slice(before)
      .map(({ action, caller, scope, sessionId, owner }) => [action, caller, scope, sessionId, owner]),
    [
      ['endSession', 'key:ops', 'admin', other.session.id, 'other'],
      ['getSession', 'key:ops', 'admin', shop.session.id, 'shop'],
    ],
  );
});

test('an own picture is of use to its key only, and every action with it is written to the audit log', async () => {
  const image = plainPng(200, 100).toString('base64');
  const made = await mesh.call<{ id: string }>('POST', '/v1/avatars', { body: { image, name: 'Me' }, bearer: SHOP });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const { id } = made.body;
  const start = (bearer: string) =>
    mesh.call<{ reason?: string }>('POST', '/v1/sessions', { body: { avatar: id }, bearer });
  const { status, body } = await start(OTHER);
  assert.deepEqual([status, body.reason], [404, 'AVATAR_NOT_FOUND']);
  await assert.rejects(over('createSession', { avatar: id }, OTHER), { reason: 'AVATAR_NOT_FOUND' });
  for (const bearer of [SHOP, ADMIN]) assert.equal((await start(bearer)).status, 201);
  for (const method of ['GET', 'DELETE'])
    assert.equal((await mesh.call(method, `/v1/avatars/${id}`, { bearer: OTHER })).status, 404);
  assert.equal((await mesh.call('GET', `/v1/avatars/${id}`, { bearer: SHOP })).status, 200);
  assert.equal((await mesh.call('DELETE', `/v1/avatars/${id}`, { bearer: ADMIN })).status, 204);
  assert.deepEqual(
    audits()
      .filter(({ avatarId }) => avatarId === id)
      .map(({ action, caller, owner }) => [action, caller, owner]),
    [
      ['createAvatar', 'key:shop', 'shop'],
      ['getAvatar', 'key:shop', 'shop'],
      ['deleteAvatar', 'key:ops', 'shop'],
    ],
  );
});

test('no secret is in the log of any level, nor in an answer to a refused request', async () => {
  const { session, token } = await created(SHOP);
  const planted = 'planted-credential-0123456789';
  const answers = [
    await mesh.call('GET', `/v1/sessions/${session.id}/events?token=${SHOP}`, { bearer: undefined }),
    await mesh.call('GET', `/v1/sessions?token=${SHOP}&key=${planted}`, { bearer: undefined }),
    await mesh.call('GET', '/v1/sessions', { bearer: planted }),
    await mesh.call('GET', `/v1/${planted}`, { bearer: SHOP }),
    await mesh.call('POST', '/v1/sessions', { body: `{"avatar":"${planted}`, bearer: SHOP }),
    await mesh.call('POST', '/v1/sessions', {
      body: { avatar: 'ada', [planted]: planted },
      bearer: SHOP,
      type: planted,
    }),
    await mesh.call('POST', `/v1/sessions/${session.id}/beacon`, { body: { token: planted }, bearer: undefined }),
    await mesh.call('DELETE', `/v1/whep/${session.id}/${planted}`, { bearer: token }),
  ];
  await assert.rejects(over('listSessions', {}, planted));
  assert.match(JSON.stringify(answers[0]), /API keys and grants do not belong in a URL/);
  const secrets = [SHOP, OTHER, ADMIN, token, planted];
  for (const { status, body } of answers) {
    assert.ok(status === 200 || status >= 400, String(status));
    for (const secret of secrets) assert.ok(!JSON.stringify(body).includes(secret), JSON.stringify(body));
  }
  assert.ok(lines.length > 5, 'the log was captured');
  for (const secret of secrets)
    assert.deepEqual(
      lines.filter((line) => line.includes(secret)),
      [],
    );
});
