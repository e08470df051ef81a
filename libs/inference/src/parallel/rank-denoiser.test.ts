/** Behaviour of ranks apart from their latents: failures, order, number of runs, and state. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { MeshError } from '@talkmesh/contracts';
import type { Executor } from '../executor/executor.js';
import { createOrtExecutor } from '../executor/ort-executor.js';
import { type GraphModel, loadGraphModel } from '../model/model.js';
import { sessionStateBytes } from '../model/state-bytes.js';
import { MatchedScoreEngine } from '../score/matched-engine.js';
import type { MatchedScoreSession } from '../score/matched-session.js';
import { createFixtureModel, type FixtureModel } from '../testing/index.js';
import { chirp, inOrder, largestDifference } from '../testing/rollout.js';
import type { Timeline } from '../timeline.js';
import type { ParallelPlan } from './plan.js';
import { RankDenoiser } from './rank-denoiser.js';
import type { RankOptions } from './rank-groups.js';

const PLAN: ParallelPlan = { sequence: 2, steps: 2, exchange: 'all-gather' };
const KEEP = 3;

let fixture: FixtureModel;
let model: GraphModel;
let executor: Executor;
before(async () => {
  fixture = await createFixtureModel();
  model = await loadGraphModel(fixture.folder);
  executor = createOrtExecutor({ threads: 1 });
});
after(async () => {
  for (const part of [executor, fixture]) await part?.[Symbol.asyncDispose]();
});

const load = (options: Partial<RankOptions> = {}): Promise<MatchedScoreEngine> =>
  MatchedScoreEngine.load(model, executor, { plan: PLAN, ...options });
const open = (engine: MatchedScoreEngine, seed = 1): Promise<MatchedScoreSession> =>
  engine.openSession({ avatar: 'ada', seed, keepChunks: KEEP });
const ranksOf = (engine: MatchedScoreEngine): RankDenoiser => {
  assert.ok(engine.denoiser instanceof RankDenoiser);
  return engine.denoiser;
};
const chunks = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const say = async (session: MatchedScoreSession, count: number, depth: number): Promise<Float32Array[]> =>
  (await inOrder(depth, chunks(count), (chunk) => session.generate(chunk, chirp(model, chunk)))).map(
    ({ values }) => values,
  );

async function expected(count: number, seed = 1): Promise<Float32Array[]> {
  await using engine = await MatchedScoreEngine.load(model, executor);
  return await say(await open(engine, seed), count, 1);
}

test('a rank that exits during a chunk fails the chunk with an error that names the rank, and the next session works', async () => {
  const restarts: string[] = [];
  await using engine = await load({ onRestart: (why, reason) => restarts.push(`${reason}: ${why}`) });
  const session = await open(engine);
  await say(session, 2, 1);
  const doomed = session.generate(2, chirp(model, 2));
  const [, group] = ranksOf(engine).groups.all;
  await group?.kill(1);
  await assert.rejects(doomed, (error: MeshError) => {
    assert.equal(error.reason, 'PEER_LOST');
    assert.ok(error.retryable);
    assert.match(error.message, /rank 1 of step group 1 ended/);
    return true;
  });
  await assert.rejects(
    session.generate(2, chirp(model, 2)),
    { reason: 'PEER_LOST' },
    'the state of the session is lost',
  );
  session.dispose();
  const next = await open(engine);
  assert.ok(largestDifference(await say(next, 3, 2), await expected(3)) < 1e-4);
  next.dispose();
  assert.deepEqual(restarts, ['exit: rank 1 of step group 1 ended with exit code 1']);
  assert.equal(engine.stateBytes().kv, 0);
});

test('a group that misses its deadline restarts, and one that fails too often ends the engine', async () => {
  await using engine = await load({ plan: { sequence: 2, steps: 1, exchange: 'all-gather' } });
  const [group] = ranksOf(engine).groups.all;
  const gone = assert.rejects(engine.failed, {
    reason: 'INTERNAL',
    message: /step group 0 failed 4 times within 60 s/,
  });
  for (let death = 0; death < 4; death++) {
    await group?.ready;
    await group?.kill(death % 2);
  }
  await gone;
  await assert.rejects(open(engine), { reason: 'INTERNAL' });
});

test('a pass without an answer in time is an error', async () => {
  const reasons = new Set<string>();
  await using engine = await load({
    plan: { sequence: 1, steps: 2, exchange: 'all-gather' },
    deadlineMs: 0.01,
    onRestart: (_, reason) => reasons.add(reason),
  });
  const untilOverdue = async (): Promise<never> => {
    for (;;) (await open(engine)).dispose();
  };
  await assert.rejects(untilOverdue(), { reason: 'PEER_LOST', message: /no answer within/ });
  assert.deepEqual([...reasons], ['silence']);
});

interface Span {
  readonly lane: string;
  readonly name: string;
  readonly startUs: number;
  readonly endUs: number;
  readonly work?: unknown;
}

test('step groups form a pipeline: a chunk starts while the previous one is still being generated, and chunks end in order', async () => {
  const spans: Span[] = [];
  const timeline: Timeline = {
    enabled: true,
    span: (lane, name, startUs, endUs, args) => spans.push({ lane, name, startUs, endUs, work: args?.['work'] }),
    mark: () => undefined,
  };
  await using engine = await load({ plan: { sequence: 1, steps: 2, exchange: 'all-gather' }, timeline });
  assert.equal(engine.depth, 2);
  const session = await open(engine);
  const ended: number[] = [];
  const made = await inOrder(2, chunks(12), async (chunk) => {
    const result = await session.generate(chunk, chirp(model, chunk));
    ended.push(chunk);
    return result;
  });
  assert.deepEqual(ended, chunks(12));
  assert.ok(
    largestDifference(
      made.map(({ values }) => values),
      await expected(12),
    ) < 1e-4,
  );
  const passes = spans.filter(({ name, work }) => /^step \d$/.test(name) && work !== 0);
  assert.equal(passes.length, 24);
  const [first, second] = [0, 1].map((step) => passes.filter(({ name }) => name === `step ${step}`));
  assert.deepEqual(new Set(first?.map(({ lane }) => lane)), new Set(['rank 0.0']));
  assert.deepEqual(new Set(second?.map(({ lane }) => lane)), new Set(['rank 1.0']));
  const ahead = second?.filter(({ work, endUs }) => {
    const next = first?.find((pass) => pass.work === (work as number) + 1);
    return next !== undefined && next.startUs < endUs;
  });
  assert.ok((ahead?.length ?? 0) > 0, 'a chunk starts before the previous chunk ends');
  const partsOf = (kind: string): Set<string> =>
    new Set(spans.flatMap(({ lane, name }) => (lane === `rank 0.0 ${kind}` ? [name] : [])));
  assert.ok(partsOf('compute').has('head') && partsOf('compute').has('layer0.post+pre'), 'segments in one lane');
  assert.deepEqual(partsOf('copies'), new Set(['gather out', 'gather in']), 'copies in another');
  session.dispose();
});

test('two sessions that share the pipeline give the latents of a session alone', async () => {
  await using engine = await load();
  const [a, b] = [await open(engine, 5), await open(engine, 6)];
  const [ofA, ofB] = await Promise.all([say(a, 4, 2), say(b, 4, 2)]);
  assert.ok(largestDifference(ofA, await expected(4, 5)) < 1e-4);
  assert.ok(largestDifference(ofB, await expected(4, 6)) < 1e-4);
  a.dispose();
  b.dispose();
});

for (const exchange of ['all-gather', 'ulysses'] as const)
  test(`nothing is computed twice on ranks (${exchange}), and the state has the size that follows from the manifest`, async () => {
    const plan: ParallelPlan = { ...PLAN, exchange };
    await using engine = await load({ plan });
    const session = await open(engine);
    const start = await engine.denoiser.runs();
    const made = 5;
    await say(session, made, engine.depth);
    const end = await engine.denoiser.runs();
    const during = Object.fromEntries(Object.entries(end).map(([name, count]) => [name, count - (start[name] ?? 0)]));
    const { dit, schedule } = model.manifest.score;
    assert.deepEqual([during['audio'], during['timestep'], during['reference']], [made, 0, 0]);
    assert.equal(during['whole'] ?? 0, 0);
    assert.equal(during['condition'], made * plan.sequence * plan.steps, 'one run per chunk on each rank');
    const passes = made * schedule.length * plan.sequence;
    const segments = Object.entries(during).filter(([name]) => /enter|layer|attend|head/.test(name));
    assert.ok(segments.length >= dit.layers + 2);
    for (const [name, count] of segments) assert.equal(count, passes * (name === 'attend' ? dit.layers : 1), name);
    const bytes = sessionStateBytes(model.manifest, { keepChunks: KEEP, plan });
    assert.deepEqual([engine.stateBytes().kv, engine.stateBytes().audio], [bytes.kv, bytes.audio]);
    session.dispose();
    assert.equal(engine.stateBytes().kv, 0);
  });

test('plans that do not divide are refused with an error that names the setting and the possible values', async () => {
  const refused = (plan: ParallelPlan, message: RegExp): Promise<void> =>
    assert.rejects(load({ plan }), { reason: 'CONFIG_INVALID', message });
  await refused(
    { sequence: 5, steps: 1, exchange: 'all-gather' },
    /SEQUENCE_RANKS=5 .* 12 tokens; possible: 1, 2, 3, 4, 6, 12/,
  );
  await refused({ sequence: 3, steps: 1, exchange: 'ulysses' }, /splits its 2 heads; possible: 1, 2/);
  await refused({ sequence: 1, steps: 3, exchange: 'all-gather' }, /STEP_RANKS=3 .* takes 2 steps; possible: 1, 2/);
  await assert.rejects(load({ devices: ['cpu', 'webgpu'] }), {
    reason: 'CONFIG_INVALID',
    message: /2 threads would use webgpu, and one of a process can: set .* TALKMESH_RANK_DEVICES to other devices/,
  });
});
