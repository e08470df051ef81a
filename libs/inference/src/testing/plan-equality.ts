import assert from 'node:assert/strict';
import { type Executor, VALUE_BYTES } from '../executor/executor.js';
import type { GraphModel, Model } from '../model/model.js';
import { checkPlan, type ParallelPlan, receivedValues } from '../parallel/plan.js';
import type { PassTimes } from '../parallel/rank-protocol.js';
import { MatchedScoreEngine } from '../score/matched-engine.js';
import { largestDifference, rollOut } from './rollout.js';

/**
 * Largest difference between the latents of a plan and those of one device. Divided graphs add float32 numbers in another
 * order, and the differences pass through all layers, steps and chunks of the rollout. Latents have magnitudes of one to three.
 */
const PLAN_TOLERANCE = 1e-4;

const SEED = 20;

/** Every plan of up to 4 x 4 ranks with both exchanges, except 1 x 1, which is one device. */
export const PLANS: readonly ParallelPlan[] = [1, 2, 3, 4].flatMap((sequence) =>
  [1, 2, 3, 4].flatMap((steps) =>
    sequence * steps === 1
      ? []
      : (['all-gather', 'ulysses'] as const).map((exchange) => ({ sequence, steps, exchange })),
  ),
);

export const nameOf = ({ sequence, steps, exchange }: ParallelPlan): string =>
  `sequence ${sequence} x steps ${steps}, ${exchange}`;

/** Asserts that a plan is refused with an error that names the setting which does not divide. */
export function assertRefused(plan: ParallelPlan, { manifest }: GraphModel, setting: 'SEQUENCE' | 'STEP'): void {
  const value = setting === 'SEQUENCE' ? plan.sequence : plan.steps;
  const message = new RegExp(`TALKMESH_${setting}_RANKS=${value} does not fit ${manifest.name}: .*; possible: 1, `);
  assert.throws(() => checkPlan(plan, manifest), { reason: 'CONFIG_INVALID', message });
}

/**
 * Asserts that the latents of a plan equal those of one device and are not all zero.
 * @returns a message for the test's output
 */
export async function assertEqual(
  model: GraphModel,
  executor: Executor,
  plan: ParallelPlan,
  expected: readonly Float32Array[],
): Promise<string> {
  const difference = await comparePlan(model, executor, plan, expected);
  assert.ok(difference <= PLAN_TOLERANCE, `differs by ${difference}`);
  assert.ok(Math.max(...expected.flatMap((values) => [...values.map(Math.abs)])) > 0.5, 'the latents are not all zero');
  return `largest difference ${difference}`;
}

/** Runs the rollout on a plan. @returns the largest difference of any latent from the expected one */
async function comparePlan(
  model: GraphModel,
  executor: Executor,
  plan: ParallelPlan,
  expected: readonly Float32Array[],
): Promise<number> {
  const received: number[] = [];
  const onPass = (times: PassTimes): unknown => received.push(times.receivedBytes);
  await using engine = await MatchedScoreEngine.load(model, executor, { plan, onPass });
  const difference = largestDifference(await rollOut(engine, { seed: SEED, depth: engine.depth }), expected);
  assertReceived(received, plan, model);
  return difference;
}

/** Asserts that every rank received in every pass what follows from the plan. */
export function assertReceived(received: readonly number[], plan: ParallelPlan, { manifest, geometry }: Model): void {
  const { dim, layers } = manifest.score.dit;
  const wanted = VALUE_BYTES.float32 * receivedValues(plan, geometry.tokens, dim, layers);
  assert.ok(received.length > 0);
  assert.deepEqual(new Set(received), new Set([wanted]));
}

export async function oneDevice(model: GraphModel, executor: Executor): Promise<Float32Array[]> {
  await using engine = await MatchedScoreEngine.load(model, executor);
  return await rollOut(engine, { seed: SEED, depth: 1 });
}
