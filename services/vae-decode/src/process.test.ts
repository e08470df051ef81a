import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type FrameMessage, newSessionId } from '@talkmesh/contracts';
import { createFixtureModel, type FixtureModel } from '@talkmesh/inference/testing';
import { waitUntil } from '@talkmesh/service-kit';
import { moduleUrl, type NatsServer, ServiceProcess, startNatsServer } from '@talkmesh/service-kit/testing';
import { Peers, speech, tone } from './testing/peers.js';

const PATIENCE_MS = 30_000;
/** The other service is compiled when this test is. */
const FOLDER = basename(import.meta.dirname);

let nats: NatsServer;
let model: FixtureModel;
let score: ServiceProcess;
let decode: ServiceProcess;
let peers: Peers;

const processOf = (service: 'score-model' | 'vae-decode', env: NodeJS.ProcessEnv): ServiceProcess =>
  new ServiceProcess(moduleUrl(`../../${service}/${FOLDER}/main`, import.meta.url), env);

const environment = (folder = model.folder) => ({
  TALKMESH_NATS_URL: nats.url,
  TALKMESH_MODEL: folder,
  TALKMESH_DRAIN_DEADLINE_MS: '200',
});

before(async () => {
  nats = await startNatsServer();
  model = await createFixtureModel();
  score = processOf('score-model', environment());
  decode = processOf('vae-decode', environment());
  peers = await Peers.connect(nats.url);
  await Promise.all([score.ready(), decode.ready()]);
});
after(async () => {
  for (const part of [peers, score, decode, model, nats]) await part?.[Symbol.asyncDispose]();
});

interface TestSession extends AsyncDisposable {
  readonly sessionId: string;
}

async function open(options: { seed?: number; unpaced?: boolean; avatar?: string } = {}): Promise<TestSession> {
  const { seed = 1, unpaced = true, avatar = 'ada' } = options;
  const sessionId = newSessionId();
  await peers.watch(sessionId);
  await decode.call('open', { sessionId, decode: { avatar } });
  await score.call('open', { sessionId, score: { avatar, seed, unpaced } });
  if (unpaced) peers.playhead(sessionId, { chunk: 0, frame: 0, creditChunks: 8 });
  await peers.egress.bus.flush();
  return {
    sessionId,
    async [Symbol.asyncDispose]() {
      await score.call('close', { sessionId, reason: 'ended' });
      await decode.call('close', { sessionId, reason: 'ended' });
    },
  };
}

const sound = (frames: readonly FrameMessage[]): number[] => frames.flatMap((frame) => [...frame.pcm]);

test('a turn of speech becomes exactly its chunks: every sample once, frames in order, the last chunk flagged', async () => {
  await using session = await open();
  const { sessionId } = session;
  const said = tone(1.2);
  peers.speak(sessionId, 1, said);
  const frames = await peers.framesUntil(sessionId, 36);
  await sleep(300);
  assert.equal(frames.length, 36, 'nothing comes before the speech or after it');
  assert.deepEqual(sound(frames), [...said, ...new Array(3 * 11_520 - said.length).fill(0)]);
  for (const [i, frame] of frames.entries()) {
    assert.deepEqual([frame.chunk, frame.frame, frame.framesInChunk], [Math.floor(i / 12), i % 12, 12]);
    assert.deepEqual([frame.mediaTimeUs, frame.deadlineUs], [i * 40_000, 0]);
    assert.deepEqual([frame.turn, frame.speaking, frame.degraded, frame.endOfTurn], [1, true, false, i >= 24]);
    assert.deepEqual([frame.width, frame.height, frame.i420.length], [64, 64, 6144]);
  }
  assert.ok(new Set(frames.map((frame) => Buffer.from(frame.i420).toString('base64'))).size > 12, 'the picture moves');
});

test('the same seed and speech give the same pictures beside another session; another seed or avatar does not', async () => {
  await using one = await open({ seed: 5 });
  await using two = await open({ seed: 6 });
  await using three = await open({ seed: 5 });
  await using four = await open({ seed: 5, avatar: 'bo' });
  const sessions = [one, two, three, four];
  for (const { sessionId } of sessions) peers.speak(sessionId, 1, tone(2));
  const pictures: string[] = [];
  for (const { sessionId } of sessions) {
    const frames = await peers.framesUntil(sessionId, 60);
    assert.equal(frames.length, 60);
    assert.ok(frames.every((frame) => frame.sessionId === sessionId));
    pictures.push(Buffer.concat(frames.map((frame) => frame.i420)).toString('base64'));
  }
  const [first, otherSeed, again, otherAvatar] = pictures;
  assert.equal(again, first);
  assert.notEqual(otherSeed, first);
  assert.notEqual(otherAvatar, first);
});

test('a watched call idles within its credits, and speech replaces the idle chunks that wait', async () => {
  await using session = await open({ unpaced: false });
  const { sessionId } = session;
  const idle = await peers.framesUntil(sessionId, 24);
  await sleep(300);
  assert.equal(idle.length, 24, 'two chunks of credit');
  assert.ok(idle.every((frame) => !frame.speaking && frame.turn === 0 && frame.epoch === 0));

  peers.playhead(sessionId, { chunk: 0, frame: 2, creditChunks: 4 });
  await peers.framesUntil(sessionId, 48);
  // Between two positions the player is taken to go on: however long that took, it is still in the first chunk.
  peers.playhead(sessionId, { chunk: 0, frame: 3, creditChunks: 4 });
  await sleep(50);
  peers.speak(sessionId, 7, tone(0.7));
  await waitUntil(() => peers.frames(sessionId).filter((frame) => frame.turn === 7).length >= 24, PATIENCE_MS);
  const spoken = peers.frames(sessionId).filter((frame) => frame.turn === 7);
  assert.ok(spoken.every((frame) => frame.epoch === 1 && frame.speaking && frame.deadlineUs > 0));
  const [flush] = peers.events(sessionId).filter((event) => event.type === 'flush');
  assert.equal(flush?.type === 'flush' && flush.cause, 'speech');
  assert.equal(flush?.type === 'flush' && flush.fromChunk, spoken[0]?.chunk);
  assert.ok((spoken[0]?.chunk ?? 99) <= 2, 'not behind all the idle chunks');

  peers.bridge.bus.publishEvent({ sessionId, epoch: 1, turn: 7, type: 'interrupt', cause: 'barge-in' });
  await waitUntil(() => peers.frames(sessionId).some((frame) => frame.epoch === 2), PATIENCE_MS);
  const silent = peers.frames(sessionId).filter((frame) => frame.epoch === 2);
  assert.ok(silent.length > 0 && silent.every((frame) => !frame.speaking && frame.turn === 0));
});

test('messages of another version, another session or a wrong size are ignored and counted', async () => {
  await using session = await open();
  const { sessionId } = session;
  const foreign = speech(sessionId, 1, 0, tone(1), true);
  foreign[2] = 9;
  peers.bridge.bus.publish('speech', sessionId, foreign);
  peers.bridge.bus.publish('speech', sessionId, speech(newSessionId(), 1, 0, tone(0.02), true));
  peers.bridge.bus.publish('speech', sessionId, speech(sessionId, 1, 0, tone(0.02), true).subarray(0, 90));
  peers.bridge.bus.publish('event', sessionId, new TextEncoder().encode('{"v":2,"type":"interrupt"}'));
  peers.speak(sessionId, 1, tone(0.4));
  const frames = await peers.framesUntil(sessionId, 12);
  assert.deepEqual(sound(frames).slice(0, 9600), [...tone(0.4)], 'only what is right was spoken');
  assert.equal(await score.metric('talkmesh_message_rejected_total{stream="speech",reason="MESSAGE_VERSION"}'), 1);
  assert.equal(await score.metric('talkmesh_message_rejected_total{stream="speech",reason="MESSAGE_MALFORMED"}'), 2);
  assert.equal(await score.metric('talkmesh_message_rejected_total{stream="event",reason="MESSAGE_MALFORMED"}'), 1);
});

test('a closed session leaves no state behind, and both services report their figures', async () => {
  await using session = await open();
  const { sessionId } = session;
  peers.speak(sessionId, 1, tone(0.9));
  await peers.framesUntil(sessionId, 24);
  type Stats = { sessions: { sessionId: string; chunk: number; itemsIn: number; itemsOut: number; p50Ms: number }[] };
  const [made] = (await score.call<Stats>('stats')).sessions;
  assert.deepEqual([made?.sessionId, made?.chunk, made?.itemsIn, made?.itemsOut], [sessionId, 2, 45, 2]);
  const [shown] = (await decode.call<Stats>('stats')).sessions;
  assert.deepEqual([shown?.sessionId, shown?.chunk, shown?.itemsIn, shown?.itemsOut], [sessionId, 2, 2, 24]);
  assert.ok((made?.p50Ms ?? 0) > 0 && (shown?.p50Ms ?? 0) > 0);
  assert.ok((await score.metric('talkmesh_state_bytes{kind="kv"}')) > 0);
  await session[Symbol.asyncDispose]();
  for (const kind of ['kv', 'audio', 'reference'])
    assert.equal(await score.metric(`talkmesh_state_bytes{kind="${kind}"}`), 0, kind);
  for (const kind of ['state', 'reference'])
    assert.equal(await decode.metric(`talkmesh_state_bytes{kind="${kind}"}`), 0, kind);
  assert.ok((await score.metric('talkmesh_chunk_seconds_count{phase="compute"}')) >= 2);
  assert.ok((await decode.metric('talkmesh_chunks_total{outcome="ok"}')) >= 2);
});

test('an unknown avatar is refused by both services, and a seed that is no exact number', async () => {
  const sessionId = newSessionId();
  await assert.rejects(score.call('open', { sessionId, score: { avatar: 'unknown' } }), { reason: 'AVATAR_NOT_FOUND' });
  const seed = '18446744073709551615';
  await assert.rejects(score.call('open', { sessionId, score: { avatar: 'ada', seed } }), {
    reason: 'ARGUMENT_INVALID',
  });
  await assert.rejects(decode.call('open', { sessionId, decode: { avatar: '' } }), { reason: 'AVATAR_NOT_FOUND' });
});

test('SIGTERM in the middle of a call: both end with 0', async () => {
  const [ownScore, ownDecode] = [processOf('score-model', environment()), processOf('vae-decode', environment())];
  await using _score = ownScore;
  await using _decode = ownDecode;
  const sessionId = newSessionId();
  await peers.watch(sessionId);
  await ownDecode.call('open', { sessionId, decode: { avatar: 'ada' } });
  await ownScore.call('open', { sessionId, score: { avatar: 'ada', seed: 1, unpaced: true } });
  peers.speak(sessionId, 1, tone(8), false);
  await peers.framesUntil(sessionId, 12);
  ownScore.signal('SIGTERM');
  ownDecode.signal('SIGTERM');
  assert.deepEqual(await Promise.all([ownScore.exit(), ownDecode.exit()]), [0, 0], ownScore.log + ownDecode.log);
  assert.doesNotMatch(ownScore.log + ownDecode.log, /"level":"(error|fatal)"|exiting anyway/);
});

test('a model folder with a missing or altered file: exit 78, and which file it is', async () => {
  await using damaged = await createFixtureModel();
  await rm(join(damaged.folder, 'score.safetensors'));
  await using missing = processOf('score-model', environment(damaged.folder));
  assert.equal(await missing.exit(), 78);
  assert.match(missing.stderr, /score\.safetensors is missing.*TALKMESH_MODEL/);

  await using changed = await createFixtureModel();
  await writeFile(join(changed.folder, 'avatars/ada.png'), 'x');
  await using altered = processOf('vae-decode', environment(changed.folder));
  assert.equal(await altered.exit(), 78);
  assert.match(altered.stderr, /ada\.png has 1 bytes, not \d+: it was altered/);
});
