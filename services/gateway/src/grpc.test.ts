import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Metadata, type ServiceError } from '@grpc/grpc-js';
import { type MeshError, newSessionId } from '@talkmesh/contracts';
import { v1 } from '@talkmesh/contracts/protos';
import { callUnary, connectClient, fromServiceError } from '@talkmesh/service-kit';
import { until } from '@talkmesh/service-kit/testing';
import { API_KEY, FakeMesh } from './testing/fake-mesh.js';

let mesh: FakeMesh;
let sessions: InstanceType<typeof v1.SessionService>;
let audio: InstanceType<typeof v1.AudioIngest>;
let recorder: InstanceType<typeof v1.RecordService>;
before(async () => {
  mesh = await FakeMesh.start();
  sessions = connectClient(v1.SessionService, mesh.gateway.grpcAddress);
  audio = connectClient(v1.AudioIngest, mesh.gateway.grpcAddress);
  recorder = connectClient(v1.RecordService, mesh.gateway.grpcAddress);
});
after(async () => {
  for (const client of [sessions, audio, recorder]) client.close();
  await mesh[Symbol.asyncDispose]();
});

function as(bearer: string | undefined): Metadata {
  const metadata = new Metadata();
  if (bearer !== undefined) metadata.set('authorization', `Bearer ${bearer}`);
  return metadata;
}

const call = <T = Record<string, unknown>>(
  method: string,
  request: object,
  bearer: string | undefined = API_KEY,
): Promise<T> => callUnary<object, T>(sessions, method, request, { deadlineMs: 5000, metadata: as(bearer) });

const refused = (promise: Promise<unknown>, reason: string): Promise<void> =>
  assert.rejects(promise, (error: MeshError) => {
    assert.equal(error.reason, reason, error.message);
    return true;
  });

interface Created {
  session: { id: string; state: string; placement: Record<string, string> };
  token: string;
  tokenExpiresAtMs: number;
}

test('SessionService has the same operations as REST', async () => {
  const created = await call<Created>('createSession', { avatar: 'bo', seed: 9 });
  const { id } = created.session;
  assert.equal(created.session.state, 'SESSION_STATE_OPEN');
  assert.equal(created.session.placement['score-model'], mesh.workers['score-model'].id);
  assert.equal(mesh.workers['score-model'].opened.get(id)?.score?.seed, 9);
  assert.ok(created.tokenExpiresAtMs > Date.now());
  const read = await call<{ avatar: string }>('getSession', { sessionId: id }, created.token);
  assert.equal(read.avatar, 'bo');
  const { sessions: list } = await call<{ sessions: { id: string }[] }>('listSessions', {});
  assert.deepEqual(
    list.map((session) => session.id),
    [id],
  );
  assert.deepEqual(await call('saySession', { sessionId: id, text: 'hi' }, created.token), { turn: 7 });
  assert.deepEqual(await call('interruptSession', { sessionId: id }, created.token), { interrupted: true });
  assert.deepEqual(await call('pauseSession', { sessionId: id }, created.token), { paused: true });
  assert.deepEqual(await call('pauseSession', { sessionId: id }, created.token), { paused: false });
  assert.deepEqual(await call('resumeSession', { sessionId: id }, created.token), { resumed: true });
  assert.deepEqual(await call('startInput', { sessionId: id }, created.token), { started: true });
  assert.deepEqual(await call('commitInput', { sessionId: id }, created.token), { committed: true });
  assert.deepEqual(await call('cancelInput', { sessionId: id }, created.token), { cancelled: false });
  assert.deepEqual(await call('endSession', { sessionId: id }, created.token), {});
  assert.deepEqual(await call('endSession', { sessionId: id }), {});
  assert.equal((await call<{ state: string }>('getSession', { sessionId: id })).state, 'SESSION_STATE_ENDED');
  await refused(call('saySession', { sessionId: id, text: 'hi' }), 'SESSION_ENDED');
});

test('gRPC refuses the same requests as REST', async () => {
  const { session, token } = await mesh.session();
  await refused(callUnary(sessions, 'listSessions', {}, { deadlineMs: 5000 }), 'TOKEN_MISSING');
  await refused(call('listSessions', {}, 'not-a-key-of-this-one'), 'TOKEN_INVALID');
  await refused(call('listSessions', {}, token), 'PERMISSION_DENIED');
  await refused(call('createSession', { avatar: 'ada' }, token), 'PERMISSION_DENIED');
  await refused(call('getSession', { sessionId: newSessionId() }, token), 'TOKEN_WRONG_SESSION');
  for (const method of ['pauseSession', 'resumeSession']) {
    await refused(call(method, { sessionId: newSessionId() }, token), 'TOKEN_WRONG_SESSION');
    await refused(call(method, { sessionId: newSessionId() }), 'SESSION_NOT_FOUND');
  }
  await refused(call('getSession', { sessionId: newSessionId() }), 'SESSION_NOT_FOUND');
  await refused(call('getSession', { sessionId: '>' }), 'SESSION_ID_INVALID');
  await refused(call('createSession', { avatar: 'unknown' }), 'AVATAR_NOT_FOUND');
  await refused(call('createSession', {}), 'ARGUMENT_INVALID');
  await refused(call('saySession', { sessionId: session, text: '' }), 'ARGUMENT_INVALID');
  await call('endSession', { sessionId: session });
});

test('WatchEvents streams the events and closes at the end of the session', async () => {
  const { session, token } = await mesh.session();
  const stream = sessions.watchEvents({ sessionId: session }, as(token));
  const seen: { type: string; dataJson: string; turn: number }[] = [];
  let over: 'ended' | ServiceError | undefined;
  stream.on('data', (event) => seen.push(event));
  stream.on('end', () => {
    over ??= 'ended';
  });
  stream.on('error', (error: ServiceError) => {
    over = error;
  });
  const { bus } = mesh.workers['audio-llm-bridge'];
  await until('the snapshot', () => seen.length > 0);
  bus.publishEvent({ sessionId: session, epoch: 3, turn: 4, type: 'turn.started', source: 'text' });
  await until('the event', () => seen.length > 1);
  await call('endSession', { sessionId: session });
  await until('the end', () => over !== undefined);
  assert.equal(over, 'ended');
  assert.equal(seen[0]?.type, 'session.snapshot');
  assert.deepEqual([seen[1]?.type, seen[1]?.turn], ['turn.started', 4]);
  assert.deepEqual(JSON.parse(seen[1]?.dataJson ?? ''), { source: 'text' });
  assert.equal(seen.at(-1)?.type, 'session.ended');
  const late = sessions.watchEvents({ sessionId: session }, as(token));
  const error = await new Promise<unknown>((resolve) => late.on('error', resolve).resume());
  assert.equal(fromServiceError(error).reason, 'SESSION_ENDED');
});

test('the streams of WatchEvents are bounded per session; a cancelled one makes room', async () => {
  const { session, token } = await mesh.session();
  const watch = () => sessions.watchEvents({ sessionId: session }, as(token));
  const errorOf = (stream: ReturnType<typeof watch>) =>
    new Promise<unknown>((resolve) => stream.on('error', resolve).resume());
  const open = Array.from({ length: 8 }, watch);
  for (const stream of open) stream.on('error', () => undefined).resume();
  const { bus } = mesh.workers['audio-llm-bridge'];
  let seen = 0;
  for (const stream of open) stream.once('data', () => (seen += 1));
  await until('all are open', () => {
    bus.publishEvent({ sessionId: session, epoch: 3, turn: 4, type: 'turn.started', source: 'text' });
    return seen === open.length;
  });
  assert.equal(fromServiceError(await errorOf(watch())).reason, 'RATE_LIMITED');
  open[0]?.cancel();
  await until('there is room', async () => {
    const stream = watch();
    const event = new Promise<'event'>((resolve) => stream.once('data', () => resolve('event')));
    const publishing = setInterval(() => {
      bus.publishEvent({ sessionId: session, epoch: 3, turn: 4, type: 'turn.started', source: 'text' });
    }, 20);
    const outcome = await Promise.race([errorOf(stream), event]);
    clearInterval(publishing);
    stream.cancel();
    return outcome === 'event';
  });
  for (const stream of open) stream.cancel();
  await call('endSession', { sessionId: session });
});

function upload(bearer: string | undefined) {
  let settle: (value: { samples: number } | MeshError) => void = () => undefined;
  const answer = new Promise<{ samples: number } | MeshError>((resolve) => {
    settle = resolve;
  });
  const stream = audio.streamAudio(as(bearer), (error, value) =>
    settle(error === null && value !== undefined ? value : fromServiceError(error)),
  );
  stream.on('error', () => undefined);
  return { stream, answer };
}

test('audio is forwarded to the worker of the session and its answer is returned', async () => {
  const { session, token } = await mesh.session({ provider: 'external' });
  const { stream, answer } = upload(token);
  stream.write({ sessionId: session, sampleRateHz: 24_000, channels: 1, pcm: Buffer.alloc(960) });
  for (let i = 0; i < 9; i += 1) stream.write({ pcm: Buffer.alloc(960) });
  stream.end();
  assert.equal(((await answer) as { samples: number }).samples, 4800);
  await call('endSession', { sessionId: session });
});

test('a worker that reads audio slowly exerts backpressure on the caller', async () => {
  const { session, token } = await mesh.session();
  const ingest = mesh.workers['audio-ingest'];
  const before = ingest.receivedBytes;
  ingest.isAudioBlocked = true;
  const { stream, answer } = upload(token);
  stream.write({ sessionId: session, sampleRateHz: 24_000, channels: 1, pcm: Buffer.alloc(60_000) });
  let waiting = 0;
  let written = 1;
  while (waiting === 0 && written < 2000) {
    if (!stream.write({ pcm: Buffer.alloc(60_000) })) {
      const drained = await Promise.race([
        new Promise<boolean>((resolve) => stream.once('drain', () => resolve(true))),
        new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 500)),
      ]);
      if (!drained) waiting += 1;
    }
    written += 1;
  }
  assert.equal(waiting, 1, `the caller wrote ${written} messages without being slowed down`);
  assert.ok(written < 200, `${written} messages fitted between`);
  assert.ok(ingest.receivedBytes - before < 400_000);
  stream.cancel();
  assert.equal(((await answer) as MeshError).reason, 'CANCELLED');
  ingest.isAudioBlocked = false;
  await call('endSession', { sessionId: session });
});

test('audio without a session, with the token of another session, too large or refused by the worker is an error', async () => {
  const { session, token } = await mesh.session();
  const other = await mesh.session();
  const empty = upload(token);
  empty.stream.end();
  assert.equal(((await empty.answer) as MeshError).reason, 'AUDIO_EMPTY');
  const first = { sessionId: session, sampleRateHz: 24_000, channels: 1, pcm: Buffer.alloc(4) };
  const foreign = upload(other.token);
  foreign.stream.write(first);
  assert.equal(((await foreign.answer) as MeshError).reason, 'TOKEN_WRONG_SESSION');
  const large = upload(token);
  large.stream.write(first);
  large.stream.write({ pcm: Buffer.alloc(65_537) });
  assert.equal(((await large.answer) as MeshError).reason, 'BODY_TOO_LARGE');
  const odd = upload(token);
  odd.stream.write({ ...first, pcm: Buffer.alloc(3) });
  assert.equal(((await odd.answer) as MeshError).reason, 'AUDIO_FORMAT_INVALID');
  for (const id of [session, other.session]) await call('endSession', { sessionId: id });
});

test('frames of a recording are forwarded unchanged, with backpressure from the reader', async () => {
  const { session, token } = await mesh.session({ output: 'record' });
  const egress = mesh.workers['webrtc-egress'];
  egress.framesSent = 0;
  const total = 400;
  const stream = recorder.record({ sessionId: session, stopAfterFrames: total }, as(token));
  const frames: { index: number; i420: Buffer; pcm: Buffer }[] = [];
  let over = false;
  stream.on('data', (frame) => {
    frames.push(frame);
    if (frames.length === 1) stream.pause();
  });
  stream.on('end', () => {
    over = true;
  });
  await until('the first frame', () => frames.length > 0);
  await new Promise((resolve) => setTimeout(resolve, 400));
  const ahead = egress.framesSent;
  assert.ok(ahead < 100, `${ahead} frames left the worker while the reader was stopped`);
  stream.resume();
  await until('all frames', () => over);
  assert.deepEqual(
    frames.map((frame) => frame.index),
    Array.from({ length: total }, (_, i) => i),
  );
  assert.ok(frames.every(({ i420, pcm }) => i420.length === 96_000 && i420[95_999] === 5 && pcm.length === 1920));
  assert.equal((await call<{ state: string }>('getSession', { sessionId: session })).state, 'SESSION_STATE_OPEN');
  await call('endSession', { sessionId: session });
});

test('a reader that disconnects early ends the recording', async () => {
  const { session, token } = await mesh.session({ output: 'record' });
  const egress = mesh.workers['webrtc-egress'];
  egress.framesSent = 0;
  egress.recordCancelled = false;
  const stream = recorder.record({ sessionId: session, stopAfterFrames: 100_000 }, as(token));
  stream.on('error', () => undefined);
  await new Promise((resolve) => stream.once('data', resolve));
  stream.cancel();
  await until('the worker knows', () => egress.recordCancelled);
  await until(
    'the end',
    async () => (await call<{ state: string }>('getSession', { sessionId: session })).state === 'SESSION_STATE_ENDED',
  );
  assert.deepEqual(egress.closed.at(-1), { sessionId: session, reason: 'viewer-gone' });
});

test('errors of the worker during a recording reach the reader', async () => {
  const { session, token } = await mesh.session({ output: 'record' });
  const fail = async (request: object, bearer: string): Promise<string> => {
    const stream = recorder.record(request, as(bearer));
    const error = await new Promise<unknown>((resolve) => stream.on('error', resolve).resume());
    return fromServiceError(error).reason;
  };
  assert.equal(await fail({ sessionId: session, stopAfterFrames: 13 }, token), 'SESSION_NOT_FOUND');
  assert.equal(await fail({ sessionId: newSessionId() }, token), 'TOKEN_WRONG_SESSION');
  assert.equal(await fail({ sessionId: newSessionId() }, API_KEY), 'SESSION_NOT_FOUND');
  await call('endSession', { sessionId: session });
});
