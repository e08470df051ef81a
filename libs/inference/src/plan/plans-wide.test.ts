/** A random-weight network of the shape of large video models gives the same latents on any plan. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Executor } from '../executor.js';
import { loadModel, type Model } from '../model.js';
import { createOrtExecutor } from '../ort-executor.js';
import type { FixtureModel } from '../testing/index.js';
import { comparePlan, oneDevice, PLAN_TOLERANCE } from '../testing/plan-equality.js';
import { createWideModel } from '../testing/wide-model.js';

interface Case {
  readonly fixture: FixtureModel;
  readonly model: Model;
  readonly expected: Float32Array[];
}

let executor: Executor;
let [four, three]: [Case | undefined, Case | undefined] = [undefined, undefined];
before(async () => {
  executor = createOrtExecutor({ threads: 1 });
  const make = async (fixture: FixtureModel): Promise<Case> => {
    const model = await loadModel(fixture.folder);
    return { fixture, model, expected: await oneDevice(model, executor) };
  };
  four = await make(await createWideModel());
  three = await make(await createWideModel({ schedule: [1, 0.7, 0.4], layers: 2 }));
});
after(async () => {
  for (const part of [executor, four?.fixture, three?.fixture]) await part?.[Symbol.asyncDispose]();
});

const check = (denoising: 3 | 4, sequence: number, steps: number, exchange: 'all-gather' | 'ulysses'): void => {
  const name = `${denoising} steps, sequence ${sequence} x steps ${steps}, ${exchange}: the latents of one device`;
  test(name, async (t) => {
    const { model, expected } = (denoising === 4 ? four : three) as Case;
    const difference = await comparePlan(model, executor, { sequence, steps, exchange }, expected);
    t.diagnostic(`largest difference ${difference}`);
    assert.ok(difference <= PLAN_TOLERANCE, `differs by ${difference}`);
    assert.ok(Math.max(...expected.flatMap((values) => [...values.map(Math.abs)])) > 0.5, 'and is not nothing');
  });
};

check(4, 2, 1, 'all-gather');
check(4, 3, 1, 'all-gather');
check(4, 4, 1, 'all-gather');
check(4, 2, 1, 'ulysses');
check(4, 3, 1, 'ulysses');
check(4, 4, 1, 'ulysses');
check(4, 1, 2, 'all-gather');
check(4, 1, 4, 'all-gather');
check(4, 2, 2, 'ulysses');
check(4, 2, 4, 'all-gather');
check(3, 1, 3, 'all-gather');
check(3, 2, 3, 'ulysses');
