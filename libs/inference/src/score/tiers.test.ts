/** Sessions of several qualities on one engine: each is what a model of that schedule alone makes. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type QualityTier, qualityTier } from '@talkmesh/contracts';
import type { Executor } from '../executor/executor.js';
import { createOrtExecutor } from '../executor/ort-executor.js';
import { type GraphModel, loadGraphModel } from '../model/model.js';
import type { ParallelPlan } from '../parallel/plan.js';
import { createFixtureModel, type FixtureModel } from '../testing/index.js';
import { chirp, inOrder, largestDifference } from '../testing/rollout.js';
import { MatchedScoreEngine } from './matched-engine.js';
import type { MatchedScoreSession } from './matched-session.js';

const BALANCED = [1, 0.6];
const BEST = [1, 0.85, 0.6, 0.3];
const CHUNKS = [0, 1, 2, 3, 4];
const PLAN_TOLERANCE = 1e-4;

let executor: Executor;
let fixtures: FixtureModel[];
let models: readonly [GraphModel, GraphModel, GraphModel];
before(async () => {
  executor = createOrtExecutor({ threads: 1 });
  fixtures = [
    await createFixtureModel({ schedule: BALANCED, best: BEST }),
    await createFixtureModel({ schedule: BALANCED }),
    await createFixtureModel({ schedule: BEST }),
  ];
  const [both, two, four] = await Promise.all(fixtures.map(({ folder }) => loadGraphModel(folder)));
  assert.ok(both && two && four);
  models = [both, two, four];
});
after(async () => {
  for (const part of [executor, ...fixtures]) await part[Symbol.asyncDispose]();
});

const load = (model: GraphModel, plan?: ParallelPlan): Promise<MatchedScoreEngine> =>
  MatchedScoreEngine.load(model, executor, plan && { plan });
const best = (): QualityTier => qualityTier(models[0].manifest, 'best');
const open = (engine: MatchedScoreEngine, tier?: QualityTier): Promise<MatchedScoreSession> =>
  engine.openSession({ avatar: 'ada', seed: 5, keepChunks: 2, ...(tier && { tier }) });
/** Chunk 3 is short of time. */
const make = (session: MatchedScoreSession, chunk: number) =>
  session.generate(chunk, chirp(models[0], chunk), chunk === 3 ? 1 : undefined);

async function alone(model: GraphModel): Promise<Float32Array[]> {
  await using engine = await load(model);
  const session = await open(engine);
  return (await inOrder(1, CHUNKS, (chunk) => make(session, chunk))).map(({ values }) => values);
}

test('sessions of both qualities side by side make, bit for bit, what models of either schedule make', async () => {
  await using engine = await load(models[0]);
  const [plain, fine] = [await open(engine), await open(engine, best())];
  const made: [Float32Array[], Float32Array[]] = [[], []];
  for (const chunk of CHUNKS) {
    const [a, b] = await Promise.all([make(plain, chunk), make(fine, chunk)]);
    assert.deepEqual([a?.steps, b?.steps], chunk === 3 ? [1, 1] : [2, 4]);
    made[0].push(a?.values ?? new Float32Array(0));
    made[1].push(b?.values ?? new Float32Array(0));
  }
  assert.deepEqual(made[0], await alone(models[1]));
  assert.deepEqual(made[1], await alone(models[2]));
  assert.ok(largestDifference(made[0], made[1]) > 1e-3);
  assert.equal(fine.kvBytes, 2 * plain.kvBytes);
  for (const [session, tier] of [[plain], [fine, best()]] as const)
    assert.equal(session.kvBytes + session.audioBytes, engine.sessionBytes(2, tier));
});

test('as many chunks as the quality remembers restore a session bit for bit', async () => {
  await using engine = await load(models[0]);
  const { depth, wholeSteps } = engine.replay(best());
  assert.deepEqual([depth, wholeSteps, engine.replay().depth], [8, 4, 4], 'two layers');
  const sound = (chunk: number): Int16Array => chirp(models[0], chunk);
  const session = await open(engine, best());
  const made = (await inOrder(1, [...Array(depth + 3).keys()], (chunk) => session.generate(chunk, sound(chunk)))).map(
    ({ values }) => values,
  );
  const samples = models[0].manifest.audio.historySamples;
  const history = Float32Array.from([...sound(0), ...sound(1)].slice(-samples), (sample) => sample / 32768);
  const from = { chunk: 2, history };
  const again = await engine.openSession({ avatar: 'ada', seed: 5, keepChunks: 2, tier: best(), from });
  for (let chunk = 2; chunk < depth + 2; chunk++)
    await again.restore(chunk, { values: made[chunk] as Float32Array, pcm: sound(chunk), steps: 4 });
  assert.deepEqual((await again.generate(depth + 2, sound(depth + 2)))?.values, made[depth + 2]);
});

test('groups of ranks share the steps of every quality, or refuse the session in words', async () => {
  const expected = await alone(models[2]);
  {
    await using engine = await load(models[0], { sequence: 1, steps: 2, exchange: 'all-gather' });
    const [plain, fine] = [await open(engine), await open(engine, best())];
    const made = await inOrder(engine.depth, CHUNKS, (chunk) => make(fine, chunk));
    const values = made.map((chunk) => chunk.values);
    assert.ok(largestDifference(values, expected) <= PLAN_TOLERANCE, String(largestDifference(values, expected)));
    assert.equal((await make(plain, 0))?.steps, 2);
  }
  const three = { ...best(), schedule: [1, 0.6, 0.3] };
  await using engine = await load(models[1], { sequence: 1, steps: 2, exchange: 'all-gather' });
  await assert.rejects(open(engine, three), {
    reason: 'CONFIG_INVALID',
    message: /2 groups of ranks \(TALKMESH_STEP_RANKS\), and quality best takes 3; choose another quality/,
  });
});
