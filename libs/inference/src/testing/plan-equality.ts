import assert from 'node:assert/strict';
import type { Executor } from '../executor.js';
import type { Model } from '../model.js';
import { checkPlan, type ParallelPlan } from '../plan/plan.js';
import { ScoreEngine } from '../score-engine.js';
import { largestDifference, rollOut } from './rollout.js';

/**
 * How much a plan's latents may differ from one device's. The graphs are the same arithmetic cut elsewhere: sums of float32
 * in another order, then as many layers, steps and chunks as the rollout has. Latents are of the size of one to three.
 */
const PLAN_TOLERANCE = 1e-4;

const SEED = 20;

/** Every plan of up to 4 x 4 ranks with both exchanges; 1 x 1 is one device itself. */
export const PLANS: readonly ParallelPlan[] = [1, 2, 3, 4].flatMap((sequence) =>
  [1, 2, 3, 4].flatMap((steps) =>
    sequence * steps === 1
      ? []
      : (['all-gather', 'ulysses'] as const).map((exchange) => ({ sequence, steps, exchange })),
  ),
);

export const nameOf = ({ sequence, steps, exchange }: ParallelPlan): string =>
  `sequence ${sequence} x steps ${steps}, ${exchange}`;

/** A plan that does not divide is refused by the name of the setting that does not. */
export function assertRefused(plan: ParallelPlan, { manifest }: Model, setting: 'SEQUENCE' | 'STEP'): void {
  const value = setting === 'SEQUENCE' ? plan.sequence : plan.steps;
  const message = new RegExp(`TALKMESH_${setting}_RANKS=${value} does not fit ${manifest.name}: .*; possible: 1, `);
  assert.throws(() => checkPlan(plan, manifest), { reason: 'CONFIG_INVALID', message });
}

/** The latents of a plan are those of one device, and are not nothing. @returns what to say of it */
export async function assertEqual(
  model: Model,
  executor: Executor,
  plan: ParallelPlan,
  expected: readonly Float32Array[],
): Promise<string> {
  const difference = await comparePlan(model, executor, plan, expected);
  assert.ok(difference <= PLAN_TOLERANCE, `differs by ${difference}`);
  assert.ok(Math.max(...expected.flatMap((values) => [...values.map(Math.abs)])) > 0.5, 'and is not nothing');
  return `largest difference ${difference}`;
}

/** The same call on one device and on a plan. @returns the largest difference of any latent */
async function comparePlan(
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
