/**
 * A LiveTalk of small sizes and random weights, imported from files, served by the whole mesh: recorded, taken over by other workers, interrupted.
 * Its frames are those of the model in one process, bit for bit.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createOrtExecutor, loadModel, type VideoModel } from '@talkmesh/inference';
import { createFixtureVideo, FIXTURE_VIDEO_AVATARS, type FixtureVideo, WholeVideo } from '@talkmesh/inference/testing';
import { encodeWav, fromPcm16 } from '@talkmesh/media';
import { until } from '@talkmesh/service-kit/testing';
import { type Mesh, startMesh } from '../../deploy/local/src/mesh.js';
import { CallTap } from '../support/call-tap.js';
import { talkmesh } from '../support/cli.js';
import { rest } from '../support/record-call.js';
import { assertSameVideo } from '../support/same-video.js';
import { firstDifference } from '../support/seams.js';
import { concatenate, speak } from '../support/speech.js';
import { PATIENCE_MS, SpokenCall } from '../support/spoken-call.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { watchCall } from '../support/watch-call.js';

const [AVATAR] = FIXTURE_VIDEO_AVATARS;
/** The sink is made with it, and a model in one process has one seed. */
const SEED = 0;
const speech = speak('One two three four five six seven eight nine ten, and no one who listens will ever know.');

/** Of an uploaded picture, as the gateway reports it. */
interface Picture {
  readonly source: { width: number; height: number; crop: object; landmarks?: object };
  readonly verdict: { readonly reasons: readonly { readonly code: string }[] };
}

let fixture: FixtureVideo;
let model: VideoModel;
let mesh: Mesh;
before(async () => {
  fixture = await createFixtureVideo('codec');
  const loaded = await loadModel(fixture.folder);
  assert.ok(loaded.kind === 'video');
  model = loaded;
  const replicas = { 'score-model': 2, 'vae-decode': 2 } as const;
  // A busy machine may not replay all that the state depends on within the usual budget, and then the frames differ.
  const budget = { TALKMESH_REPLAY_BUDGET_MS: '60000' };
  const env = { 'score-model': budget, 'vae-decode': budget };
  mesh = await startMesh({ quiet: true, model: fixture.folder, replicas, restartMs: [200], env });
});
after(async () => {
  await mesh?.stop();
  await fixture?.[Symbol.asyncDispose]();
});

/** The frames of these chunks of sound in one process. */
async function framesOf(chunks: readonly Int16Array[]): Promise<(readonly Uint8Array[])[]> {
  await using executor = createOrtExecutor({ threads: 1 });
  await using video = await WholeVideo.open(executor, model, AVATAR, SEED);
  await video.sink();
  const frames: (readonly Uint8Array[])[] = [];
  for (const pcm of chunks) frames.push((await video.next(fromPcm16(pcm))).frames);
  return frames;
}

const assertSameFrames = async (tap: CallTap): Promise<number> =>
  (await assertSameVideo(tap, model, { avatar: AVATAR, seed: SEED })).chunks;

test('`talkmesh render` writes the frames of the model, at its rate and size', { timeout: 180_000 }, async () => {
  const folder = temporaryFolder('video-model');
  const [audio, out] = [join(folder, 'speech.wav'), join(folder, 'talk.mp4')];
  writeFileSync(audio, encodeWav(speech, 24_000));
  const where = ['--url', mesh.httpUrl, '--grpc', mesh.grpcAddress, '--key', mesh.apiKey];
  const args = [
    'render',
    '--avatar',
    AVATAR,
    '--audio',
    audio,
    '--out',
    out,
    '--json',
    '--seed',
    String(SEED),
    ...where,
  ];
  const { code, stdout, stderr } = await talkmesh(args);
  assert.equal(code, 0, stderr);
  const { frames, seconds, framesSha256 } = JSON.parse(stdout) as {
    frames: number;
    seconds: number;
    framesSha256: string;
  };
  const { samplesPerChunk, samplesPerFrame } = model.geometry;
  assert.deepEqual([frames, seconds], [Math.ceil(speech.length / samplesPerFrame), frames / model.manifest.fps]);
  const chunks = Array.from({ length: Math.ceil(speech.length / samplesPerChunk) }, (_, chunk) => {
    const pcm = new Int16Array(samplesPerChunk);
    pcm.set(speech.subarray(chunk * samplesPerChunk, (chunk + 1) * samplesPerChunk));
    return pcm;
  });
  const hash = createHash('sha256');
  for (const frame of (await framesOf(chunks)).flat().slice(0, frames)) hash.update(frame);
  assert.equal(framesSha256, hash.digest('hex'));
});

test('a picture of a user needs no landmarks: its middle speaks', { timeout: 120_000 }, async () => {
  const folder = temporaryFolder('video-picture');
  const [audio, out] = [join(folder, 'speech.wav'), join(folder, 'talk.mp4')];
  writeFileSync(audio, encodeWav(speech.subarray(0, 24_000), 24_000));
  const { code, stdout, stderr } = await talkmesh([
    ...['render', '--picture', 'test/fixtures/grace-hopper.jpg', '--audio', audio, '--out', out, '--json'],
    ...['--url', mesh.httpUrl, '--grpc', mesh.grpcAddress, '--key', mesh.apiKey],
  ]);
  assert.equal(code, 0, stderr);
  const { frames, picture } = JSON.parse(stdout) as { frames: number; picture: Picture };
  assert.equal(frames, model.manifest.fps);
  const { width, height, crop, landmarks } = picture.source;
  const side = Math.min(width, height);
  assert.deepEqual([crop, landmarks], [{ left: (width - side) / 2, top: (height - side) / 2, side }, undefined]);
  assert.deepEqual(
    picture.verdict.reasons.map(({ code: reason }) => reason),
    ['not-checked'],
  );
  const image = readFileSync('test/fixtures/grace-hopper.jpg').toString('base64');
  const face = { mouth: [9, 9], leftEye: [5, 5], rightEye: [12, 5] };
  const refused = await rest<{ detail: string }>(mesh, 'POST', '/v1/avatars', { image, landmarks: face });
  assert.equal(refused.status, 400);
  assert.match(refused.body.detail, /needs no positions of mouth and eyes/);
});

test('score and decoder die by kill -9 in the middle of speech: other workers continue with the same frames', {
  timeout: 240_000,
}, async (t) => {
  // So long that the first worker has not made all of it when it dies.
  const long = concatenate(speech, speech);
  await using spoken = await SpokenCall.start(mesh, long, { avatar: AVATAR, fps: model.manifest.fps, seed: SEED });
  const { tap } = spoken;
  await spoken.signal('score-model', 'SIGKILL');
  await until('the move', () => spoken.moves.length === 1, PATIENCE_MS);
  const played = (): number => tap.playhead?.chunk ?? 0;
  const killAt = played() + 2;
  await until('two more chunks', () => played() >= killAt, PATIENCE_MS);
  await spoken.signal('vae-decode', 'SIGKILL');
  await spoken.over();
  assert.deepEqual(spoken.moves, ['score-model died', 'vae-decode died']);
  assert.equal(firstDifference(long, tap.heard(1)), undefined);
  assert.equal(new Set(tap.makers.values()).size, 2, 'two workers made the chunks');
  t.diagnostic(`${await assertSameFrames(tap)} chunks`);
});

test('an interrupt takes the model back to what was played, and it speaks the next turn from there', {
  timeout: 240_000,
}, async (t) => {
  await using spoken = await SpokenCall.start(mesh, speech, { avatar: AVATAR, fps: model.manifest.fps, seed: SEED });
  const { call, tap } = spoken;
  const answered = await rest(mesh, 'POST', `/v1/sessions/${call.sessionId}/interrupt`, {});
  assert.ok(answered.status < 300, JSON.stringify(answered));
  await until('the flush', () => tap.events.some((event) => event.type === 'flush'), PATIENCE_MS);
  const next = speak('And now something else.');
  call.say(next);
  await spoken.over(2);
  assert.equal(firstDifference(next, tap.heard(2)), undefined);
  const chunks = await assertSameFrames(tap);
  const epochs = new Set(tap.inOrder().map(({ frame }) => frame.epoch));
  assert.ok(epochs.size > 1, 'chunks were made again');
  t.diagnostic(`${chunks} chunks in epochs ${[...epochs].join(', ')}`);
});

test('a live call: speech takes the place of idle chunks, an interrupt that of speech', {
  timeout: 240_000,
}, async (t) => {
  await using call = await watchCall(mesh, AVATAR, { seed: SEED });
  await using tap = await CallTap.open(mesh, call.sessionId);
  const flushed = (): string[] => tap.events.flatMap((event) => (event.type === 'flush' ? [event.cause] : []));
  await until('the picture', () => (tap.playhead?.chunk ?? 0) >= 2, PATIENCE_MS);
  const saying = call.say(speech);
  await until('the voice', () => (tap.playhead?.turnPlayedMs ?? 0) > 1000, PATIENCE_MS);
  await rest(mesh, 'POST', `/v1/sessions/${call.sessionId}/interrupt`, {});
  await until('the flush', () => flushed().includes('interrupt'), PATIENCE_MS);
  const chunk = (tap.playhead?.chunk ?? 0) + 3;
  await until('idle chunks', () => (tap.playhead?.chunk ?? 0) >= chunk, PATIENCE_MS);
  await saying;
  assert.ok(flushed().includes('speech'), 'speech did not wait for idle chunks');
  const { frames, spanMs, width } = await call.report();
  assert.equal(width, model.manifest.width);
  t.diagnostic(`${((1000 * (frames - 1)) / spanMs).toFixed(1)} frames a second arrived`);
  t.diagnostic(`${await assertSameFrames(tap)} chunks; flushes: ${flushed().join(', ')}`);
});
