import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Executor } from '../executor/executor.js';
import { createOrtExecutor } from '../executor/ort-executor.js';
import { type GraphModel, loadGraphModel } from '../model/model.js';
import { createFixtureModel, type FixtureModel, fixtureWeights } from '../testing/index.js';
import { computeReferenceCall } from '../testing/reference-network.js';
import { MatchedScoreEngine } from './matched-engine.js';
import type { MatchedScoreSession } from './matched-session.js';
import { NoiseSource } from './noise.js';

let fixture: FixtureModel;
let model: GraphModel;
let executor: Executor;
let engine: MatchedScoreEngine;

before(async () => {
  fixture = await createFixtureModel();
  model = await loadGraphModel(fixture.folder);
  executor = createOrtExecutor({ threads: 1 });
  engine = await MatchedScoreEngine.load(model, executor);
});
after(async () => {
  for (const part of [engine, executor, fixture]) await part?.[Symbol.asyncDispose]();
});

const open = (seed = 1, avatar = 'ada', keepChunks = 6): Promise<MatchedScoreSession> =>
  engine.openSession({ avatar, seed, keepChunks });

/** Audio of one chunk; every chunk and voice differs. */
const sound = (chunk: number): Int16Array =>
  Int16Array.from({ length: model.geometry.samplesPerChunk }, (_, i) =>
    Math.round(6000 * (1 + Math.sin(chunk * 1.7 + i / 3000)) * Math.sin((i * (chunk + 3)) / 40)),
  );

async function say(session: MatchedScoreSession, from: number, to: number, what = sound): Promise<Float32Array[]> {
  const chunks: Float32Array[] = [];
  for (let chunk = from; chunk < to; chunk++) {
    const made = await session.generate(chunk, what(chunk));
    assert.ok(made);
    chunks.push(made.values);
  }
  return chunks;
}

const largestDifference = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Math.max(...Array.from(a, (value, i) => Math.abs(value - (b[i] ?? Number.NaN))));

test('generating chunk by chunk with caches equals computing the whole session at once without caches', async () => {
  const session = await open(11);
  const made = await say(session, 0, 6);
  session.dispose();
  const features = await engine.references.acquire('ada');
  const c0 = (await executor.download(features.c0)) as Float32Array;
  engine.references.release(features);
  const source = new NoiseSource(11);
  const noise = [-1, 0, 1, 2, 3, 4, 5].map((chunk) => source.noise(chunk, 0, model.geometry.latentValues));
  const audio = made.map((_, chunk) => Float32Array.from(sound(chunk), (sample) => sample / 32_768));
  const expected = computeReferenceCall(fixture.sizes, fixtureWeights(fixture.sizes), { c0, noise, audio });
  for (const [chunk, values] of made.entries()) {
    const difference = largestDifference(values, expected[chunk] ?? []);
    assert.ok(difference < 1e-4, `chunk ${chunk} differs by ${difference}`);
    assert.ok(Math.max(...values.map(Math.abs)) > 0.5, 'the latents are not all zero');
  }
});

test('a chunk takes one run of audio and condition and one score run per step; nothing is computed twice', async () => {
  const [a, b] = [await open(1), await open(2)];
  const runs = async (): Promise<Readonly<Record<string, number>>> => (await executor.stats()).runs;
  const start = await runs();
  await say(a, 0, 5);
  await say(b, 0, 3);
  const end = await runs();
  const during = Object.fromEntries(Object.entries(end).map(([name, count]) => [name, count - (start[name] ?? 0)]));
  const steps = model.manifest.score.schedule.length;
  assert.deepEqual(during, {
    audio: 8,
    condition: 8,
    timestep: 0,
    score: 8 * steps,
    reference: 0,
    context: 8 * steps,
    euler: 8 * steps,
  });
  a.dispose();
  b.dispose();
});

test('opening a session takes one score run per step; sessions share the features of their avatar', async () => {
  const runs = async (name: string): Promise<number> => (await executor.stats()).runs[name] ?? 0;
  const [score, reference, audio] = [await runs('score'), await runs('reference'), await runs('audio')];
  const sessions = await Promise.all([open(1), open(2), open(3, 'bo')]);
  assert.equal((await runs('score')) - score, 3 * model.manifest.score.schedule.length);
  assert.equal((await runs('reference')) - reference, 2);
  assert.equal(await runs('audio'), audio, 'sessions share the tokens of silence');
  for (const session of sessions) session.dispose();
});

test('the same seed gives bit-equal latents; another seed, avatar or speech gives different ones', async () => {
  const make = async (seed: number, avatar: string, what = sound): Promise<string> => {
    const session = await open(seed, avatar);
    const values = await say(session, 0, 3, what);
    session.dispose();
    return Buffer.concat(values.map((chunk) => Buffer.from(chunk.buffer))).toString('hex');
  };
  const first = await make(7, 'ada');
  assert.equal(await make(7, 'ada'), first);
  assert.notEqual(await make(8, 'ada'), first);
  assert.notEqual(await make(7, 'bo'), first);
  assert.notEqual(await make(7, 'ada', (chunk) => sound(chunk + 1)), first);
});

test('after a rollback the session continues bit-equal to one that never had the rolled-back chunks', async () => {
  const [straight, wandering] = [await open(4), await open(4)];
  const expected = await say(straight, 0, 6);
  await say(wandering, 0, 3);
  await say(wandering, 3, 5, (chunk) => sound(chunk + 40));
  wandering.rollback(3);
  const again = await say(wandering, 3, 5);
  wandering.rollback(5);
  again.push(...(await say(wandering, 5, 6)));
  assert.deepEqual(again, expected.slice(3));
  wandering.rollback(0);
  assert.deepEqual(await say(wandering, 0, 2), expected.slice(0, 2), 'the session rolls back to c_0');
  straight.dispose();
  wandering.dispose();
});

test('rolling back beyond the kept chunks, or skipping a chunk, is an error', async () => {
  const session = await open(1, 'ada', 2);
  await say(session, 0, 5);
  await assert.rejects(session.generate(7, sound(7)), /chunk 7 cannot be generated/);
  session.rollback(2);
  await assert.rejects(session.generate(2, sound(2)), /chunk 2 cannot be generated/);
  session.dispose();
  await assert.rejects(session.generate(5, sound(5)), /cannot be generated/);
});

test('a chunk that is rolled back while it is generated is abandoned and leaves no state', async () => {
  const [straight, flushed] = [await open(9), await open(9)];
  const expected = await say(straight, 0, 3);
  await say(flushed, 0, 2);
  const doomed = flushed.generate(2, sound(50));
  flushed.rollback(2);
  assert.equal(await doomed, undefined);
  assert.deepEqual(await say(flushed, 2, 3), expected.slice(2));
  const later = flushed.generate(3, sound(3));
  flushed.rollback(4);
  assert.ok(await later, 'a rollback of later chunks does not affect this one');
  straight.dispose();
  flushed.dispose();
});

test('fewer steps give a different chunk, and the session continues', async () => {
  const [full, coarse] = [await open(3), await open(3)];
  const expected = await say(full, 0, 3);
  await say(coarse, 0, 1);
  const made = await coarse.generate(1, sound(1), 1);
  assert.equal(made?.steps, 1);
  assert.notDeepEqual(made?.values, expected[1]);
  const [after] = await say(coarse, 2, 3);
  assert.ok(after?.every(Number.isFinite));
  full.dispose();
  coarse.dispose();
});

test('a held chunk runs nothing: keys and values stay, the audio history advances, and it can be rolled back', async () => {
  const [straight, holding, other] = [await open(5), await open(5), await open(5)];
  const expected = await say(straight, 0, 3);
  await say(holding, 0, 1);
  await say(other, 0, 1);
  const { runs } = await executor.stats();
  const bytes = engine.stateBytes().kv;
  assert.deepEqual(await holding.generate(1, sound(1), 0), { values: new Float32Array(0), steps: 0 });
  assert.deepEqual((await executor.stats()).runs, runs);
  assert.equal(engine.stateBytes().kv, bytes, 'the state is shared, not copied');
  await other.generate(1, sound(30), 0);
  const [after] = await say(holding, 2, 3);
  const [afterOther] = await say(other, 2, 3);
  assert.ok(after?.every(Number.isFinite));
  assert.notDeepEqual(after, afterOther, 'the audio of a held chunk is part of the history');
  assert.notDeepEqual(after, expected[2], 'the previous chunk is a different one');
  holding.rollback(1);
  assert.deepEqual(await say(holding, 1, 3), expected.slice(1));
  for (const session of [straight, holding, other]) session.dispose();
});

test('the state has a constant size, is counted, and is freed completely, also during a chunk', async () => {
  const idle = await executor.stats();
  assert.deepEqual([engine.stateBytes().kv, engine.stateBytes().audio, engine.stateBytes().reference], [0, 0, 0]);
  const session = await open(1, 'ada', 3);
  await say(session, 0, 4);
  const early = engine.stateBytes();
  await say(session, 4, 12);
  assert.deepEqual(engine.stateBytes(), early);
  const { dit, schedule } = model.manifest.score;
  assert.equal(
    early.kv,
    4 * schedule.length * 2 * dit.layers * model.geometry.tokens * dit.dim * 4,
    'c_0 and three chunks',
  );
  const unfinished = session.generate(12, sound(12));
  session.dispose();
  session.dispose();
  assert.equal(await unfinished, undefined);
  assert.deepEqual(engine.stateBytes(), { kv: 0, audio: 0, reference: 0, timestep: early.timestep });
  const end = await executor.stats();
  assert.deepEqual([end.handles, end.bytes], [idle.handles, idle.bytes]);
});

test('an unknown avatar is an error and leaves no state', async () => {
  const idle = await executor.stats();
  await assert.rejects(open(1, 'unknown'), { reason: 'AVATAR_NOT_FOUND' });
  assert.deepEqual((await executor.stats()).handles, idle.handles);
});

test('chunks of seven latent frames give the results of the reference network', async () => {
  await using large = await createFixtureModel({ latentFrames: 7, schedule: [1, 0.75, 0.5, 0.25], layers: 1 });
  const other = await loadGraphModel(large.folder);
  await using ownEngine = await MatchedScoreEngine.load(other, executor);
  const session = await ownEngine.openSession({ avatar: 'bo', seed: 2, keepChunks: 2 });
  for (let chunk = 0; chunk < 3; chunk++) {
    const made = await session.generate(chunk, new Int16Array(26_880).fill(500));
    assert.deepEqual([made?.values.length, made?.steps], [224, 4]);
  }
  session.dispose();
});
