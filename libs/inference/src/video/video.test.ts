/** A video model from imported files to frames, at small sizes. Its parts are compared with the published code in their own tests. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { qualityTier, type VideoManifest } from '@talkmesh/contracts';
import { toPcm16 } from '@talkmesh/media';
import type { CheckpointManifest } from '../checkpoint/import-checkpoint.js';
import { writeLiveTalkManifest } from '../checkpoint/livetalk-manifest.js';
import { type DecoderSession, loadDecoderEngine } from '../decoder/decoder-engine.js';
import type { Executor } from '../executor/executor.js';
import { createOrtExecutor } from '../executor/ort-executor.js';
import { loadGraphModel, loadModel, type VideoModel } from '../model/model.js';
import { SINK_SEED } from '../score/avatar-sink.js';
import { type GeneratedChunk, loadScoreEngine, type ScoreEngine, type ScoreSession } from '../score/score-engine.js';
import { createFixtureVideo, FIXTURE_VIDEO_AVATARS, type FixtureVideo } from '../testing/fixture-video.js';
import { relativeError, seeded } from '../testing/seeded-weights.js';
import { type VideoChunk, WholeVideo } from '../testing/whole-video.js';
import { atEncoderRate, chunkSound, framesOf, nextWindow } from './sound-window.js';

const CHUNKS = 7;
const [AVATAR, OTHER] = FIXTURE_VIDEO_AVATARS;

let executor: Executor;
let fixtures: Record<'codec' | 'taehv', FixtureVideo>;
let model: VideoModel;
let engine: ScoreEngine;
before(async () => {
  executor = createOrtExecutor({ threads: 1 });
  fixtures = { codec: await createFixtureVideo('codec'), taehv: await createFixtureVideo('taehv') };
  model = await load('codec');
  engine = await loadScoreEngine(model, executor);
});
after(async () => {
  await engine[Symbol.asyncDispose]();
  await executor[Symbol.asyncDispose]();
  for (const fixture of Object.values(fixtures)) await fixture[Symbol.asyncDispose]();
});

async function load(decoder: 'codec' | 'taehv'): Promise<VideoModel> {
  const loaded = await loadModel(fixtures[decoder].folder);
  assert.ok(loaded.kind === 'video');
  return loaded;
}

const pcm = (chunk: number, seed = 80): Int16Array =>
  toPcm16(seeded(seed, chunk, model.geometry.samplesPerChunk).map((value) => value / 8));
const open = (seed = SINK_SEED, avatar: string = AVATAR): Promise<ScoreSession> =>
  engine.openSession({ avatar, seed, keepChunks: 3 });

async function generate(session: ScoreSession, chunk: number, sound = pcm(chunk), steps?: number) {
  const made = await session.generate(chunk, sound, steps);
  assert.ok(made, `chunk ${chunk} was not rolled back`);
  return made;
}

async function say(session: ScoreSession, from: number, to: number): Promise<GeneratedChunk[]> {
  const made: GeneratedChunk[] = [];
  for (let chunk = from; chunk < to; chunk++) made.push(await generate(session, chunk));
  return made;
}

async function show(session: DecoderSession, chunk: number, values: Float32Array): Promise<readonly Uint8Array[]> {
  const decoded = await session.decode(chunk, values);
  assert.ok(decoded, `chunk ${chunk} was not rolled back`);
  return decoded.frames;
}

/** What the model makes in one process: the sink chunks of silence, then speech. */
async function whole(of: VideoModel): Promise<{ sink: VideoChunk[]; chunks: VideoChunk[] }> {
  await using video = await WholeVideo.open(executor, of, AVATAR, SINK_SEED);
  const sink = await video.sink();
  const chunks: VideoChunk[] = [];
  for (let chunk = 0; chunk < CHUNKS; chunk++)
    chunks.push(await video.next(Float32Array.from(pcm(chunk), (value) => value / 32_768)));
  return { sink, chunks };
}

for (const decoder of ['codec', 'taehv'] as const)
  test(`score and decoder of the services make the frames of the model in one process (${decoder})`, async () => {
    const of = await load(decoder);
    const { sink, chunks } = await whole(of);
    assert.deepEqual([...sink, ...chunks].map(({ frames }) => frames.length).slice(0, 4), [9, 12, 12, 12]);
    const [session, shown] = [
      await open(),
      await (await loadDecoderEngine(of, executor)).openSession({ avatar: AVATAR, keepChunks: 3 }),
    ];
    const made = await say(session, 0, CHUNKS);
    const { latentValues, sinkValues } = of.geometry;
    assert.deepEqual(
      made.map(({ values }) => values.length),
      [sinkValues + latentValues, ...Array.from({ length: CHUNKS - 1 }, () => latentValues)],
    );
    assert.deepEqual(
      made[0]?.values.subarray(0, sinkValues),
      Float32Array.from(sink.flatMap(({ latents }) => [...latents])),
    );
    for (const [chunk, { latents, frames }] of chunks.entries()) {
      const { values } = made[chunk] as GeneratedChunk;
      assert.deepEqual(values.slice(values.length - latentValues), latents);
      assert.deepEqual(await show(shown, chunk, values), frames);
    }
    session.dispose();
    shown.dispose();
  });

test('a rollback gives the same chunks again, other sound others; what is not kept is refused', async () => {
  const session = await open();
  const made = await say(session, 0, 6);
  const running = session.generate(6, pcm(6));
  session.rollback(4);
  assert.equal(await running, undefined);
  const other = await generate(session, 4, pcm(4, 90));
  assert.ok(relativeError(other.values, made[4]?.values ?? []) > 1e-3, 'the sound changes the picture');
  session.rollback(4);
  assert.deepEqual(await say(session, 4, 6), made.slice(4));
  await assert.rejects(session.generate(9, pcm(9)), /the state before it was freed/);
  await assert.rejects(session.generate(6, new Int16Array(3)), /chunk 6 has 3 samples, not 18000/);
  session.dispose();
});

test('sessions of an avatar share its sink, whatever their seed; state is counted and freed', async () => {
  (await open(1)).dispose();
  const idle = await executor.stats();
  const [one, two] = [await open(1), await open(2)];
  const shared = engine.stateBytes().reference;
  const [first, second] = [await generate(one, 0), await generate(two, 0)];
  const { sinkValues } = model.geometry;
  assert.deepEqual(first.values.subarray(0, sinkValues), second.values.subarray(0, sinkValues));
  assert.notDeepEqual(first.values.subarray(sinkValues), second.values.subarray(sinkValues));
  const other = await open(1, OTHER);
  assert.notDeepEqual((await generate(other, 0)).values.subarray(0, sinkValues), first.values.subarray(0, sinkValues));
  assert.equal(engine.stateBytes().reference, 2 * shared);
  other.dispose();
  assert.equal(engine.stateBytes().reference, 2 * shared, 'the last one that no session uses stays');
  two.dispose();
  await say(one, 1, 8);
  const { kv, audio, reference } = engine.stateBytes();
  assert.equal(kv + audio + reference - shared, engine.sessionBytes(3));
  const unfinished = one.generate(8, pcm(8));
  one.dispose();
  one.dispose();
  assert.equal(await unfinished, undefined);
  const end = await executor.stats();
  assert.deepEqual([engine.stateBytes().kv, engine.stateBytes().reference, end.bytes], [0, shared, idle.bytes]);
  await assert.rejects(open(1, 'unknown'), { reason: 'AVATAR_NOT_FOUND' });
});

test('fewer steps give coarser latents; a held chunk gives none, and the next one follows the chunk before', async () => {
  const [session, held] = [await open(), await open()];
  const [before] = await say(session, 0, 1);
  await say(held, 0, 1);
  const [coarse, fine] = [await generate(session, 1, pcm(1), 2), await generate(held, 1)];
  assert.deepEqual([coarse.steps, fine.steps], [2, 4]);
  assert.ok(relativeError(coarse.values, fine.values) > 1e-3);
  held.rollback(1);
  assert.deepEqual(await generate(held, 1, pcm(1), 0), { values: new Float32Array(0), steps: 0 });
  const after = await generate(held, 2);
  assert.ok(after.values.every(Number.isFinite));
  assert.ok(before);
  for (const one of [session, held]) one.dispose();
});

test('the faster quality of an imported model takes levels that the network knows, and shares the sink', async () => {
  const { schedule } = model.manifest.score;
  const fast = qualityTier(model.manifest, 'fast');
  assert.deepEqual([fast.size, fast.cost, fast.schedule], ['3x2', 3 / 5, [schedule[0], schedule[2]]]);
  const session = await engine.openSession({ avatar: AVATAR, seed: SINK_SEED, keepChunks: 3, tier: fast });
  const [plain, made] = [await open(), await generate(session, 0)];
  const whole = await generate(plain, 0);
  const { sinkValues } = model.geometry;
  assert.deepEqual([made.steps, whole.steps], [2, 4]);
  assert.deepEqual(made.values.subarray(0, sinkValues), whole.values.subarray(0, sinkValues));
  assert.ok(relativeError(made.values.subarray(sinkValues), whole.values.subarray(sinkValues)) > 1e-3);
  assert.equal(engine.replay(fast).share, 1 / 3);
  for (const one of [session, plain]) one.dispose();
});

test('restored from as many chunks as the depth says, a session continues bit for bit; from fewer it does not', async () => {
  const { depth } = engine.replay();
  const length = depth + 3;
  const session = await open(5);
  const made = await say(session, 0, length + 1);
  const historyBefore = (chunk: number): Float32Array => {
    const samples = [chunk - 2, chunk - 1].flatMap((before) => [...pcm(before)]).map((value) => value / 32_768);
    return Float32Array.from(samples.slice(-model.manifest.audio.historySamples));
  };
  const continued = async (replayed: number): Promise<Float32Array> => {
    const chunk = length - replayed;
    const again = await engine.openSession({
      avatar: AVATAR,
      seed: 5,
      keepChunks: 3,
      from: { chunk, history: historyBefore(chunk) },
    });
    for (let at = chunk; at < length; at++) await again.restore(at, { ...(made[at] as GeneratedChunk), pcm: pcm(at) });
    const { values } = await generate(again, length);
    again.dispose();
    return values;
  };
  assert.deepEqual(await continued(depth), made[length]?.values);
  assert.notDeepEqual(await continued(1), made[length]?.values);
  session.dispose();
});

test('a decoder session rolls back, continues without the sink, and refuses other numbers of latents', async () => {
  await using decoder = await loadDecoderEngine(model, executor);
  const session = await open();
  const made = await say(session, 0, 4);
  const values = (chunk: number): Float32Array => (made[chunk] as GeneratedChunk).values;
  const shown = await decoder.openSession({ avatar: AVATAR, keepChunks: 3 });
  const frames: (readonly Uint8Array[])[] = [];
  for (const chunk of [0, 1, 2, 3]) frames.push(await show(shown, chunk, values(chunk)));
  assert.equal(shown.stateBytes <= decoder.sessionBytes(3), true);
  shown.rollback(2);
  assert.deepEqual([await show(shown, 2, values(2)), await show(shown, 3, values(3))], frames.slice(2));
  shown.rollback(0);
  assert.deepEqual(await show(shown, 0, values(0)), frames[0]);
  const late = await decoder.openSession({ avatar: AVATAR, keepChunks: 3 });
  const [first] = await show(late, 2, values(2));
  assert.equal((await show(late, 3, values(3))).length, 12);
  assert.notDeepEqual(first, frames[2]?.[0]);
  const running = shown.decode(1, values(1));
  shown.rollback(1);
  assert.equal(await running, undefined);
  await assert.rejects(shown.decode(1, values(0)), { reason: 'MESSAGE_MALFORMED' });
  await assert.rejects(decoder.openSession({ avatar: 'unknown', keepChunks: 1 }), { reason: 'AVATAR_NOT_FOUND' });
  for (const one of [session, shown, late]) one.dispose();
  assert.equal(decoder.stateBytes().state, 0);
  await assert.rejects(loadDecoderEngine(model, executor, 'int8'), /has no int8 decoder/);
});

test('what was made of a picture of a user leaves with its last session, and the next session reads the picture again', async () => {
  const png = await readFile(join(fixtures.codec.folder, `avatars/${OTHER}.png`));
  let reads = 0;
  const own = await loadModel(fixtures.codec.folder, {
    ownPictures: async () => {
      reads += 1;
      return { png, landmarks: undefined };
    },
  });
  await using of = await loadScoreEngine(own, executor);
  for (const seed of [1, 2]) {
    const session = await of.openSession({ avatar: 'own-0123456789abcdef', seed, keepChunks: 1 });
    assert.ok(of.stateBytes().reference > 0);
    session.dispose();
    assert.deepEqual([of.stateBytes().reference, reads], [0, seed]);
  }
});

test('a manifest that contradicts itself, and files that are not those of the import, are refused', async () => {
  const { folder } = fixtures.taehv;
  const [path, checkpoint] = [join(folder, 'model.json'), join(folder, 'checkpoint.json')];
  const [text, stated] = [await readFile(path, 'utf8'), await readFile(checkpoint, 'utf8')];
  const manifest = JSON.parse(text) as VideoManifest;
  const loading = async (changed: object): Promise<unknown> => {
    await writeFile(path, JSON.stringify({ ...manifest, ...changed }));
    const made = await loadModel(folder);
    return loadScoreEngine(made, executor);
  };
  const { context: _context, ...dit } = manifest.score.dit;
  const encoder = { ...manifest.audio.encoder, sampleRateHz: 16_001 };
  try {
    await assert.rejects(loading({ fps: 17 }), /fps: must divide 24000/);
    await assert.rejects(loading({ score: { ...manifest.score, dit } }), /score\.dit: needs a context rule/);
    await assert.rejects(loading({ audio: { ...manifest.audio, encoder } }), /are not whole frames at 16 a second/);
    await assert.rejects(loading({ decoder: { kind: 'other' } }), /decoder\.kind/);
    await writeFile(checkpoint, stated.replace('score', 'scare'));
    await assert.rejects(loading({}), /checkpoint\.json was altered/);
  } finally {
    await writeFile(path, text);
    await writeFile(checkpoint, stated);
  }
  const read = JSON.parse(stated) as CheckpointManifest;
  const { 'small-decoder': _small, ...networks } = read.networks;
  const png = await readFile(join(folder, `avatars/${AVATAR}.png`));
  const writing = (of: CheckpointManifest, avatar: string): Promise<unknown> =>
    writeLiveTalkManifest(folder, of, { decoder: 'taehv', avatars: [{ id: avatar, name: avatar, png }] });
  await assert.rejects(writing({ ...read, networks }, AVATAR), /has no small decoder; import the model again/);
  await assert.rejects(writing(read, AVATAR), /the picture of eva is 32x32, not 512x512/);
});

test('a use as a model of graphs is refused', async () => {
  await assert.rejects(loadGraphModel(fixtures.codec.folder), { reason: 'MODEL_INVALID' });
});

test('a window is the last sound of the session, after silence; the first frame of a session fills its missing places', () => {
  const rule = { latentFrames: 3, framesPerLatent: 4, samplesPerFrame: 3, encoderSamplesPerFrame: 2, windowFrames: 24 };
  const sound = (from: number, count: number): Float32Array => Float32Array.from({ length: count }, (_, i) => from + i);
  const first = nextWindow(rule, 0, undefined, sound(1, 27));
  assert.deepEqual(first, Float32Array.from([...new Float32Array(45), ...sound(1, 27)]));
  const second = nextWindow(rule, 1, first, sound(28, 36));
  assert.deepEqual(second, Float32Array.from([...new Float32Array(9), ...sound(1, 63)]));
  assert.throws(() => nextWindow(rule, 1, second, sound(0, 3)), /chunk 1 has 3 samples, not 36/);
  assert.equal(framesOf(rule, 0), 9);
  assert.equal(atEncoderRate(rule, new Float32Array(72)).length, 48);
  const sizes = { ...model.manifest.audio.encoder, layers: 1, dim: 2 };
  const hidden = Float32Array.from({ length: 12 * 6 }, (_, i) => Math.floor(i / 6));
  const frames = [...chunkSound(rule, sizes, 0, hidden)].filter((_, i) => i % 6 === 0);
  assert.deepEqual(frames, [3, 3, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  assert.deepEqual(chunkSound(rule, sizes, 1, hidden), hidden);
});
