import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Metadata } from '@grpc/grpc-js';
import { claimOf, type MeshError, newSessionId, type PartFacts, RecordingKey, STOP_FILE } from '@talkmesh/contracts';
import { v1 } from '@talkmesh/contracts/protos';
import { callUnary, connectClient, createLogger, fromServiceError } from '@talkmesh/service-kit';
import { Recordings } from './recordings.js';
import { API_KEY, FakeMesh } from './testing/fake-mesh.js';

const OTHER_KEY = 'another-key-of-the-test-987654';
const ADMIN_KEY = 'admin-key-of-the-test-0123456789';
const VIDEO = Buffer.from('not really a video, but bytes');
const signer = new RecordingKey(
  generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
);
const lines: string[] = [];
let mesh: FakeMesh;
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'talkmesh-recordings-'));
  const settings = {
    TALKMESH_API_KEYS: `shop:${API_KEY},other:${OTHER_KEY},ops/admin:${ADMIN_KEY}`,
    ...{ TALKMESH_RECORDINGS_FOLDER: folder, TALKMESH_RECORDING_MAX_SECONDS: '600', TALKMESH_RECORDING_MAX_MB: '5' },
  };
  mesh = await FakeMesh.start(settings, (line) => lines.push(line));
});
after(async () => {
  await mesh[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

interface Part {
  readonly part: number;
  readonly state: string;
  readonly end?: string;
  readonly bytes: number;
  readonly video: string;
  readonly manifest?: string;
  readonly sha256?: string;
}
interface Listed {
  readonly sessionId: string;
  readonly state: string;
  readonly expiresAtMs?: number;
  readonly parts: readonly Part[];
}

const factsOf = (sessionId: string, part: number): PartFacts => ({
  ...{ sessionId, part, avatar: 'ada', model: 'nano@1', provider: 'parrot', label: 'AI-generated' },
  ...{ sides: 'avatar', format: 'mp4', width: 256, height: 256, fps: 25, startedAtMs: 1000 },
});

type End = 'ended' | 'moved' | 'disk-full' | undefined;

/** A recording as a worker leaves it. @param ends of its parts; undefined: it is being written */
const recorded = (owner: string, ...ends: End[]): Promise<string> => recordedAs(newSessionId(), owner, ...ends);

async function recordedAs(sessionId: string, owner: string, ...ends: End[]): Promise<string> {
  const own = join(folder, sessionId);
  await mkdir(own);
  const write = (name: string, json: unknown) => writeFile(join(own, name), JSON.stringify(json));
  await write('session.json', { v: 1, sessionId, owner, createdAtMs: Date.now() });
  for (const [index, end] of ends.entries()) {
    const facts = factsOf(sessionId, index + 1);
    await writeFile(join(own, `${facts.part}.mp4`), VIDEO);
    if (end === undefined)
      await write(`${facts.part}.open.json`, { v: 1, facts, frames: 50, bytes: 7, writtenAtMs: Date.now() });
    else {
      const outcome = { endedAtMs: 3000, durationMs: 2000, frames: 50, heldFrames: 0, end };
      const sha256 = createHash('sha256').update(VIDEO).digest('hex');
      const claim = claimOf({ version: '1', instanceId: 'x', facts, outcome, sha256, bytes: VIDEO.length });
      await write(`${facts.part}.json`, signer.sign(claim));
    }
  }
  return sessionId;
}

/** The owner id of a key is told to the worker that records. */
async function ownerOf(bearer: string): Promise<string> {
  const { body } = await mesh.call<{ session: { id: string } }>('POST', '/v1/sessions', {
    ...{ bearer, body: { avatar: 'ada', recording: {} } },
  });
  const owner = mesh.workers['webrtc-egress'].opened.get(body.session.id)?.egress?.recording?.owner;
  await mesh.call('DELETE', `/v1/sessions/${body.session.id}`, { bearer });
  return owner ?? '';
}

const get = <T>(path: string, bearer = API_KEY, headers: Record<string, string> = {}) =>
  mesh.call<T & { detail?: string; reason?: string }>('GET', path, { bearer, headers });

test('a session is recorded when it asks for it, within the limits of the deployment, and its answer says so', async () => {
  const opened = mesh.workers['webrtc-egress'].opened;
  const quiet = await mesh.session();
  assert.equal(opened.get(quiet.session)?.egress?.recording ?? undefined, undefined, 'off by default');
  const wanted = { sides: 'both', format: 'webm', maxSeconds: 3600 };
  const created = await mesh.call<{ session: { id: string; recording?: object } }>('POST', '/v1/sessions', {
    body: { avatar: 'ada', recording: wanted },
  });
  const { id, recording } = created.body.session;
  assert.deepEqual(recording, { sides: 'both', format: 'webm', maxSeconds: 600 });
  const { maxMs, maxBytes, avatar, provider, model } = opened.get(id)?.egress?.recording ?? {};
  assert.deepEqual([maxMs, maxBytes, avatar, provider], [600_000, 5_000_000, 'ada', 'parrot']);
  assert.match(model ?? '', /@/);
  const snapshot = await fetch(`${mesh.gateway.url}/v1/sessions/${id}/events`, {
    headers: { authorization: `Bearer ${API_KEY}` },
  });
  const reader = snapshot.body?.getReader();
  const first = new TextDecoder().decode((await reader?.read())?.value);
  await reader?.cancel();
  assert.match(first, /"recording":\{"sides":"both"\}/, 'who joins late is told');
  for (const session of [id, quiet.session]) await mesh.call('DELETE', `/v1/sessions/${session}`);
});

test('what may not be recorded is refused, with the reason', async () => {
  const refused = async (body: object, status: number, detail: RegExp, more: object = {}) => {
    const answer = await mesh.call<{ detail: string }>('POST', '/v1/sessions', {
      body: { avatar: 'ada', ...body },
      ...more,
    });
    assert.equal(answer.status, status, JSON.stringify(answer.body));
    assert.match(answer.body.detail, detail);
  };
  await refused({ output: 'record', recording: {} }, 400, /your program, which may record them/);
  await refused({ provider: 'external', recording: { sides: 'both' } }, 400, /hears no caller/);
  await refused({ recording: { format: 'avi' } }, 400, /recording\.format/);
  const gateway = await mesh.addGateway();
  await refused({ recording: {} }, 403, /This deployment records no calls/, { gateway });
  const grant = async (body: object) => (await mesh.call<{ grant: string }>('POST', '/v1/grants', { body })).body.grant;
  await refused({ recording: {} }, 403, /does not allow recordings/, { bearer: await grant({}) });
  const allowed = await mesh.call<{ session: { id: string } }>('POST', '/v1/sessions', {
    ...{ bearer: await grant({ recording: true }), body: { avatar: 'ada', recording: {} } },
  });
  assert.equal(allowed.status, 201);
  await mesh.call('DELETE', `/v1/sessions/${allowed.body.session.id}`);
});

test('no session is recorded by a webrtc-egress that knows of no recordings: it is refused, or placed on another worker', async () => {
  const old = mesh.workers['webrtc-egress'];
  const create = () =>
    mesh.call<{ detail: string; reason: string; session: { id: string } }>('POST', '/v1/sessions', {
      body: { avatar: 'ada', recording: {} },
    });
  await old.register({ recordsCalls: false });
  const refused = await create();
  assert.deepEqual([refused.status, refused.body.reason], [503, 'RECORDING_UNAVAILABLE']);
  assert.match(refused.body.detail, /is of an older version, or has no TALKMESH_RECORDINGS_FOLDER/);
  assert.equal(old.opened.size, 0);
  const unrecorded = await mesh.session();
  assert.ok(old.opened.has(unrecorded.session), 'calls that are not recorded go there');
  await mesh.call('DELETE', `/v1/sessions/${unrecorded.session}`);
  const newer = await mesh.addWorker({ service: 'webrtc-egress' });
  const { status, body } = await create();
  assert.deepEqual([status, newer.opened.has(body.session.id)], [201, true]);
  await mesh.call('DELETE', `/v1/sessions/${body.session.id}`);
  await newer.leaveRegistry();
  await old.register({ recordsCalls: true });
});

test('the owner lists, reads, downloads and deletes a recording; to other keys it does not exist', async () => {
  const id = await recorded(await ownerOf(API_KEY), 'moved', 'ended');
  const path = `/v1/sessions/${id}/recording`;
  const { body } = await get<Listed>(path);
  assert.equal(body.state, 'finished');
  assert.ok((body.expiresAtMs ?? 0) > Date.now() + 167 * 3_600_000);
  assert.doesNotMatch(JSON.stringify(body), /owner/);
  assert.deepEqual(
    body.parts.map(({ part, end, bytes, video }) => [part, end, bytes, video]),
    [
      [1, 'moved', VIDEO.length, `${path}/1`],
      [2, 'ended', VIDEO.length, `${path}/2`],
    ],
  );
  const file = await get<string>(`${path}/2`);
  assert.deepEqual([file.status, file.body, file.headers.get('content-type')], [200, VIDEO.toString(), 'video/mp4']);
  assert.match(file.headers.get('content-disposition') ?? '', new RegExp(`${id}-2\\.mp4`));
  const ranged = async (range: string) => {
    const { status, body: text, headers } = await get<string>(`${path}/1`, API_KEY, { range });
    return [status, text, headers.get('content-range')];
  };
  assert.deepEqual(await ranged('bytes=0-2'), [206, 'not', `bytes 0-2/${VIDEO.length}`]);
  assert.deepEqual(await ranged('bytes=-5'), [206, 'bytes', `bytes 24-28/${VIDEO.length}`]);
  assert.equal((await ranged('bytes=99-'))[0], 416);
  const manifest = await get<{ claim: { title: string } }>(`${path}/2/manifest`);
  assert.equal(manifest.body.claim.title, `${id}-2.mp4`);
  const list = async (bearer: string) => {
    const answer = await get<{ recordings: Listed[] }>('/v1/recordings', bearer);
    return answer.body.recordings.map(({ sessionId }) => sessionId);
  };
  assert.deepEqual([await list(API_KEY), await list(OTHER_KEY), await list(ADMIN_KEY)], [[id], [], [id]]);
  for (const other of [path, `${path}/1`, `${path}/1/manifest`])
    assert.deepEqual((({ status, body: { reason } }) => [status, reason])(await get<object>(other, OTHER_KEY)), [
      404,
      'NOT_FOUND',
    ]);
  assert.equal((await mesh.call('DELETE', path, { bearer: OTHER_KEY })).status, 404);
  for (const none of [`${path}/3`, `${path}/..%2f1`, `/v1/sessions/${newSessionId()}/recording`])
    assert.equal((await get(none)).status, 404, none);
  const { session, token } = await mesh.session();
  assert.equal((await get(`/v1/sessions/${session}/recording`, token)).status, 403, 'a caller has no access');
  assert.equal((await mesh.call('DELETE', path)).status, 204);
  assert.ok(!(await readdir(folder)).includes(id));
  const audited = lines.map((line) => JSON.parse(line)).filter((line) => line.audit && line.sessionId === id);
  const actions = new Set(audited.map(({ action }) => action));
  assert.deepEqual([...actions], ['downloadRecording', 'deleteRecording']);
});

test('a recording that is being made is stopped, once or twice; without one there is nothing to stop', async () => {
  const owner = await ownerOf(API_KEY);
  const stop = (session: string, bearer = API_KEY) =>
    mesh.call<Listed & { reason?: string }>('POST', `/v1/sessions/${session}/recording/stop`, { bearer });
  const refused = async (session: string, status: number, reason: string, bearer = API_KEY) => {
    const { status: got, body } = await stop(session, bearer);
    assert.deepEqual([got, body.reason], [status, reason]);
  };
  const { session } = await mesh.session();
  await refused(session, 409, 'NOT_RECORDED');
  await mesh.call('DELETE', `/v1/sessions/${session}`);
  const live = async (end: End) => {
    const made = await mesh.session({ recording: {} });
    return { id: await recordedAs(made.session, owner, end), token: made.token };
  };
  for (const end of [undefined, 'moved'] as const) {
    const { id, token } = await live(end);
    await refused(id, 404, 'NOT_FOUND', OTHER_KEY);
    assert.equal((await stop(id, token)).status, 403, 'not with the token of a caller');
    assert.ok(!(await readdir(join(folder, id))).includes(STOP_FILE));
    for (const time of ['first', 'second']) assert.equal((await stop(id)).status, 200, time);
    assert.ok((await readdir(join(folder, id))).includes(STOP_FILE));
    await rm(join(folder, id), { recursive: true });
    await refused(id, 409, 'NOT_RECORDED');
    await mesh.call('DELETE', `/v1/sessions/${id}`);
  }
  const { id: failed } = await live('disk-full');
  await refused(failed, 409, 'NOT_RECORDED');
  await mesh.call('DELETE', `/v1/sessions/${failed}`);
  const over = await recorded(owner, 'moved');
  await refused(over, 409, 'NOT_RECORDED');
  await refused(newSessionId(), 404, 'NOT_FOUND');
  const audited = lines.map((line) => JSON.parse(line)).filter(({ action }) => action === 'stopRecording');
  assert.equal(audited.length, 4);
  for (const id of [failed, over]) await rm(join(folder, id), { recursive: true, force: true });
});

test('gRPC has the same operations', async (t) => {
  const client = connectClient<InstanceType<typeof v1.SessionService>>(v1.SessionService, mesh.gateway.grpcAddress);
  t.after(() => client.close());
  const id = await recorded(await ownerOf(API_KEY), 'disk-full');
  const metadataOf = (bearer: string): Metadata => {
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${bearer}`);
    return metadata;
  };
  const call = <T>(method: string, request: object, bearer = API_KEY): Promise<T> =>
    callUnary<object, T>(client, method, request, { deadlineMs: 5000, metadata: metadataOf(bearer) });
  const isNotFound = (error: MeshError): boolean => error.reason === 'NOT_FOUND';
  const found = await call<Listed & { parts: { manifestJson: string }[] }>('getRecording', { sessionId: id });
  assert.deepEqual([found.sessionId, found.state, found.parts[0]?.state], [id, 'failed', 'failed']);
  assert.equal(JSON.parse(found.parts[0]?.manifestJson ?? '').claim.title, `${id}-1.mp4`);
  const listed = await call<{ recordings: Listed[] }>('listRecordings', {});
  assert.deepEqual(
    listed.recordings.map(({ sessionId }) => sessionId),
    [id],
  );
  await assert.rejects(call('getRecording', { sessionId: id }, OTHER_KEY), isNotFound);
  const download = async (bearer: string): Promise<string> => {
    const chunks: Buffer[] = [];
    try {
      const stream = client.DownloadRecording({ sessionId: id, part: 0 }, metadataOf(bearer));
      for await (const { data } of stream) chunks.push(data as Buffer);
    } catch (thrown) {
      throw fromServiceError(thrown);
    }
    return Buffer.concat(chunks).toString();
  };
  assert.equal(await download(API_KEY), VIDEO.toString());
  await assert.rejects(download(OTHER_KEY), isNotFound);
  const isOver = (error: MeshError): boolean => error.reason === 'NOT_RECORDED';
  await assert.rejects(call('stopRecording', { sessionId: id }), isOver);
  await call('deleteRecording', { sessionId: id });
  await assert.rejects(call('getRecording', { sessionId: id }), isNotFound);
  const created = await call<{ session: { id: string; recording: object } }>('createSession', {
    ...{ avatar: 'ada', recording: { format: 'webm' } },
  });
  assert.deepEqual(created.session.recording, { sides: 'avatar', format: 'webm', maxSeconds: 600 });
  await call('endSession', { sessionId: created.session.id });
});

test('a recording is kept for its time, one that is being made longer; one without a writer is lost', async () => {
  const owner = 'x';
  const [old, broken, fresh, open] = [
    await recorded(owner, 'ended'),
    await recorded(owner, undefined),
    await recorded(owner, 'ended'),
    await recorded(owner, undefined),
  ];
  const recordings = new Recordings({ folder, ttlMs: 3_600_000, log: createLogger({ level: 'fatal' } as never) });
  const longAgo = new Date(Date.now() - 3_700_000);
  for (const id of [old, broken]) {
    for (const name of await readdir(join(folder, id))) await utimes(join(folder, id, name), longAgo, longAgo);
    await utimes(join(folder, id), longAgo, longAgo);
  }
  // Workers try to complete it again and again.
  await writeFile(join(folder, broken, '1.open.json'), '{"v":2}');
  assert.equal((await recordings.get(open, owner)).state, 'recording');
  assert.equal((await recordings.get(open, owner)).expiresAtMs, undefined);
  await utimes(join(folder, open, '1.open.json'), longAgo, longAgo);
  assert.equal((await recordings.get(open, owner)).state, 'lost');
  await recordings.sweep();
  recordings.stop();
  const left = await readdir(folder);
  assert.deepEqual(
    [old, broken, fresh, open].map((id) => left.includes(id)),
    [false, false, true, true],
  );
  for (const id of [fresh, open]) await rm(join(folder, id), { recursive: true, force: true });
});
