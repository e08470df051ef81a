import type { Executor } from '../executor.js';
import type { Model } from '../model.js';
import type { ParallelPlan } from '../plan/plan.js';
import { ScoreEngine } from '../score-engine.js';
import { largestDifference, rollOut } from './rollout.js';

/**
 * How much a plan's latents may differ from one device's. The graphs are the same arithmetic cut elsewhere: sums of float32
 * in another order, then as many layers, steps and chunks as the rollout has. Latents are of the size of one to three.
 */
export const PLAN_TOLERANCE = 1e-4;

const SEED = 20;

/** The same call on one device and on a plan. @returns the largest difference of any latent */
export async function comparePlan(
  model: Model,
  executor: Executor,
  plan: ParallelPlan,
  expected: readonly Float32Array[],
): Promise<number> {
  await using engine = await ScoreEngine.load(model, executor, { plan });
  return largestDifference(await rollOut(engine, { seed: SEED, depth: engine.depth }), expected);
}

export async function oneDevice(model: Model, executor: Executor): Promise<Float32Array[]> {
  await using engine = await ScoreEngine.load(model, executor);
  return await rollOut(engine, { seed: SEED, depth: 1 });
}
