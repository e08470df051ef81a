/** LiveTalk's and Self-Forcing's roll-outs against the published code, on one device and on ranks. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Executor } from '../executor/executor.js';
import { createOrtExecutor } from '../executor/ort-executor.js';
import type { ParallelPlan } from '../parallel/plan.js';
import { RankCleanDenoiser } from '../parallel/rank-clean-denoiser.js';
import { nameOf } from '../testing/plan-equality.js';
import {
  liveTalkRollout,
  type PublishedRollout,
  ROLLOUT_SIZES,
  selfForcingRollout,
} from '../testing/published-rollouts.js';
import { golden, relativeError } from '../testing/seeded-weights.js';
import type { CleanDenoiser, CleanModel } from './clean-denoiser.js';
import { shiftedLevels } from './flow-schedule.js';
import { WholeCleanDenoiser } from './whole-clean-denoiser.js';

/** A chunk has 12 tokens, 4 per latent frame: two and six ranks divide it within frames. */
const PLANS: readonly (ParallelPlan | undefined)[] = [
  undefined,
  { sequence: 2, steps: 1, exchange: 'ulysses' },
  { sequence: 2, steps: 2, exchange: 'all-gather' },
  { sequence: 1, steps: 4, exchange: 'all-gather' },
  { sequence: 6, steps: 1, exchange: 'all-gather' },
];

let executor: Executor;
let folder: string;
let [liveTalk, selfForcing]: [PublishedRollout | undefined, PublishedRollout | undefined] = [undefined, undefined];
before(async () => {
  executor = createOrtExecutor({ threads: 1 });
  folder = await mkdtemp(join(tmpdir(), 'talkmesh-clean-'));
  liveTalk = await liveTalkRollout(folder);
  selfForcing = await selfForcingRollout(folder);
});
after(async () => {
  await executor[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const load = (model: CleanModel, plan: ParallelPlan | undefined): Promise<CleanDenoiser> =>
  plan === undefined ? WholeCleanDenoiser.load(executor, model) : RankCleanDenoiser.load(executor, model, { plan });

test('the noise levels are those of the published scheduler', async () => {
  const { values } = await golden('livetalk', 'levels');
  assert.ok(relativeError(shiftedLevels(4, 5), values) < 1e-6, String(shiftedLevels(4, 5)));
});

for (const plan of PLANS) {
  const where = plan === undefined ? 'one device' : nameOf(plan);

  test(`six chunks of LiveTalk equal the published pipeline, also after rollbacks, on ${where}`, async () => {
    const { model, sound, open, check } = liveTalk as PublishedRollout;
    await using denoiser = await load(model, plan);
    const session = open(denoiser, 2);
    const generate = async (chunk: number): Promise<void> => check(chunk, await session.generate(chunk, sound(chunk)));
    for (const chunk of [0, 1, 2, 3, 4]) await generate(chunk);
    // Two chunks are generated from other sound, the second is dropped while it runs; then both come again as they should be.
    await session.generate(5, sound(0));
    const running = session.generate(6, sound(1));
    session.rollback(4);
    assert.equal(await running, undefined);
    for (const chunk of [4, 5]) await generate(chunk);
    assert.equal(session.kvBytes, 6 * 2 * ROLLOUT_SIZES.layers * 12 * ROLLOUT_SIZES.dim * 4 * denoiser.copies);
    session.dispose();
    assert.equal(session.kvBytes, 0);
  });

  test(`five chunks of Self-Forcing, whose window wraps around twice, equal the published pipeline on ${where}`, async () => {
    const { model, chunks, open, check } = selfForcing as PublishedRollout;
    await using denoiser = await load(model, plan);
    const session = open(denoiser, 1);
    for (let chunk = 0; chunk < chunks; chunk++) check(chunk, await session.generate(chunk, undefined));
    await assert.rejects(session.generate(2, undefined), /is not there/);
    session.dispose();
  });
}
