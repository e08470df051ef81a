/** A video model on ranks: its chunks, rollbacks, takeovers and losses are those of one device. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { qualityTier } from '@talkmesh/contracts';
import { toPcm16 } from '@talkmesh/media';
import type { Executor } from '../executor/executor.js';
import { createOrtExecutor } from '../executor/ort-executor.js';
import { loadModel, type VideoModel } from '../model/model.js';
import { CleanScoreEngine } from '../score/clean-score-engine.js';
import type { GeneratedChunk, ScoreSession } from '../score/score-engine.js';
import { createFixtureVideo, FIXTURE_VIDEO_AVATARS, type FixtureVideo } from '../testing/fixture-video.js';
import { assertReceived } from '../testing/plan-equality.js';
import { relativeError, seeded } from '../testing/seeded-weights.js';
import type { ParallelPlan } from './plan.js';
import { RankCleanDenoiser } from './rank-clean-denoiser.js';
import type { PassTimes } from './rank-protocol.js';

/** Divided graphs add float32 numbers in another order. */
const TOLERANCE = 1e-4;
const [AVATAR] = FIXTURE_VIDEO_AVATARS;
const SEED = 5;
const PLAN: ParallelPlan = { sequence: 2, steps: 2, exchange: 'all-gather' };

let executor: Executor;
let fixture: FixtureVideo;
let model: VideoModel;
let expected: GeneratedChunk[];
before(async () => {
  executor = createOrtExecutor({ threads: 1 });
  fixture = await createFixtureVideo('taehv');
  const loaded = await loadModel(fixture.folder);
  assert.ok(loaded.kind === 'video');
  model = loaded;
  await using engine = await CleanScoreEngine.load(model, executor);
  expected = await say(await open(engine), 0, 7);
});
after(async () => {
  for (const part of [executor, fixture]) await part?.[Symbol.asyncDispose]();
});

const load = (plan: ParallelPlan): Promise<CleanScoreEngine> => CleanScoreEngine.load(model, executor, { plan });
const open = (engine: CleanScoreEngine, seed = SEED): Promise<ScoreSession> =>
  engine.openSession({ avatar: AVATAR, seed, keepChunks: 3 });
const pcm = (chunk: number, seed = 80): Int16Array =>
  toPcm16(seeded(seed, chunk, model.geometry.samplesPerChunk).map((value) => value / 8));

async function say(session: ScoreSession, from: number, to: number): Promise<GeneratedChunk[]> {
  const made: GeneratedChunk[] = [];
  for (let chunk = from; chunk < to; chunk++) {
    const generated = await session.generate(chunk, pcm(chunk));
    assert.ok(generated, `chunk ${chunk} was not rolled back`);
    made.push(generated);
  }
  return made;
}

function assertEqual(made: readonly GeneratedChunk[], from = 0): void {
  for (const [i, { values, steps }] of made.entries()) {
    const wanted = expected[from + i] as GeneratedChunk;
    const error = relativeError(values, wanted.values);
    assert.ok(error < TOLERANCE && steps === wanted.steps, `chunk ${from + i}: relative error ${error}`);
  }
}

function groupsOf(engine: CleanScoreEngine): RankCleanDenoiser['groups'] {
  const { denoiser } = engine.makers;
  assert.ok(denoiser instanceof RankCleanDenoiser);
  return denoiser.groups;
}

for (const plan of [PLAN, { sequence: 2, steps: 1, exchange: 'ulysses' }] as const)
  test(`chunks, rollbacks and state of ${plan.exchange} are those of one device`, async () => {
    await using engine = await load(plan);
    assert.deepEqual([engine.depth, engine.sessionDepth], [plan.steps, 1]);
    const [session, other] = [await open(engine), await open(engine, 6)];
    const [made, others] = await Promise.all([say(session, 0, 6), say(other, 0, 2)]);
    assertEqual(made);
    assert.ok(relativeError(others[1]?.values ?? [], expected[1]?.values ?? []) > 1e-3, 'another seed');
    other.dispose();
    const running = session.generate(6, pcm(6, 90));
    session.rollback(4);
    assert.equal(await running, undefined);
    assertEqual(await say(session, 4, 7), 4);
    const { kv, audio, reference } = engine.stateBytes();
    assert.equal(kv + audio + reference, engine.sessionBytes(3));
    session.dispose();
    assert.equal(engine.stateBytes().kv, 0);
  });

for (const plan of [
  { sequence: 2, steps: 1, exchange: 'all-gather' },
  { sequence: 6, steps: 1, exchange: 'all-gather' },
  { sequence: 2, steps: 1, exchange: 'ulysses' },
] as const)
  test(`each of ${plan.sequence} ranks of ${plan.exchange} receives what follows from the plan`, async () => {
    const received: number[] = [];
    const onPass = (times: PassTimes): unknown => received.push(times.receivedBytes);
    await using engine = await CleanScoreEngine.load(model, executor, { plan, onPass });
    const session = await open(engine);
    await say(session, 0, 1);
    session.dispose();
    // Three sink chunks and one more, of four steps and a clean pass.
    assert.equal(received.length, 4 * 5 * plan.sequence);
    assertReceived(received, plan, model);
  });

test('a session that another worker made continues on ranks', async () => {
  await using engine = await load(PLAN);
  const { depth } = engine.replay();
  const from = 6 - depth;
  const samples = [from - 2, from - 1].flatMap((before) => [...pcm(before)]).map((value) => value / 32_768);
  const history = Float32Array.from(samples.slice(-model.manifest.audio.historySamples));
  const again = await engine.openSession({ avatar: AVATAR, seed: SEED, keepChunks: 3, from: { chunk: from, history } });
  for (let chunk = from; chunk < 6; chunk++)
    await again.restore(chunk, { ...(expected[chunk] as GeneratedChunk), pcm: pcm(chunk) });
  assertEqual(await say(again, 6, 7), 6);
  again.dispose();
});

test('a rank that exits loses the sessions and the sink of the avatar; the next session makes the sink again', async () => {
  await using engine = await load(PLAN);
  const session = await open(engine);
  await say(session, 0, 2);
  const [, group] = groupsOf(engine).all;
  const doomed = session.generate(2, pcm(2));
  await group?.kill(1);
  await assert.rejects(doomed, { reason: 'PEER_LOST', retryable: true, message: /rank 1 of step group 1 ended/ });
  await assert.rejects(session.generate(2, pcm(2)), { reason: 'PEER_LOST' });
  session.dispose();
  const [one, two] = await Promise.all([open(engine), open(engine, 6)]);
  assertEqual(await say(one, 0, 3));
  const { kv, audio, reference } = engine.stateBytes();
  for (const each of [one, two]) each.dispose();
  assert.equal(engine.stateBytes().kv, 0);
  assert.equal(engine.stateBytes().reference, reference, 'the sink is counted once');
  assert.ok(kv > 0 && audio > 0);
});

test('a plan that does not divide the model, and a quality that does not suit the plan, are refused', async () => {
  const refused = (plan: ParallelPlan, message: RegExp): Promise<void> =>
    assert.rejects(load(plan), { reason: 'CONFIG_INVALID', message });
  await refused({ ...PLAN, sequence: 5 }, /SEQUENCE_RANKS=5 .* 12 tokens; possible: 1, 2, 3, 4, 6, 12/);
  await refused({ sequence: 3, steps: 1, exchange: 'ulysses' }, /splits its 2 heads; possible: 1, 2/);
  await refused({ ...PLAN, steps: 3 }, /STEP_RANKS=3 .* takes 4 steps; possible: 1, 2, 4/);
  const devices = ['webgpu'] as const;
  await assert.rejects(CleanScoreEngine.load(model, executor, { plan: PLAN, devices }), /4 threads would use webgpu/);
  await using engine = await load({ sequence: 1, steps: 4, exchange: 'all-gather' });
  const tier = qualityTier(model.manifest, 'fast');
  await assert.rejects(engine.openSession({ avatar: AVATAR, seed: 1, keepChunks: 1, tier }), {
    reason: 'CONFIG_INVALID',
    message: /quality fast takes 2; choose another quality/,
  });
});
