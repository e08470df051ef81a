/**
 * A network with random weights and the structure of large video models gives the same latents on every plan that fits
 * it.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Executor } from '../executor/executor.js';
import { createOrtExecutor } from '../executor/ort-executor.js';
import { type GraphModel, loadGraphModel } from '../model/model.js';
import type { FixtureModel } from '../testing/index.js';
import { assertEqual, assertRefused, nameOf, oneDevice, PLANS } from '../testing/plan-equality.js';
import { createWideModel } from '../testing/wide-model.js';

interface Case {
  readonly fixture: FixtureModel;
  readonly model: GraphModel;
  readonly expected: Float32Array[];
}

let executor: Executor;
let [four, three]: [Case | undefined, Case | undefined] = [undefined, undefined];
before(async () => {
  executor = createOrtExecutor({ threads: 1 });
  const make = async (fixture: FixtureModel): Promise<Case> => {
    const model = await loadGraphModel(fixture.folder);
    return { fixture, model, expected: await oneDevice(model, executor) };
  };
  four = await make(await createWideModel({ layers: 2 }));
  three = await make(await createWideModel({ schedule: [1, 0.7, 0.4], layers: 2 }));
});
after(async () => {
  for (const part of [executor, four?.fixture, three?.fixture]) await part?.[Symbol.asyncDispose]();
});

/** Three step ranks need a schedule of three steps; one, two and four divide a schedule of four. */
for (const plan of PLANS)
  test(`${plan.steps === 3 ? 3 : 4} steps on ${nameOf(plan)} give the latents of one device`, async (t) => {
    const { model, expected } = (plan.steps === 3 ? three : four) as Case;
    t.diagnostic(await assertEqual(model, executor, plan, expected));
  });

test('step ranks that do not divide the schedule are refused with an error that names the setting', () => {
  const [ofFour, ofThree] = [four?.model, three?.model];
  assert.ok(ofFour && ofThree);
  for (const plan of PLANS.filter(({ steps }) => steps > 1))
    assertRefused(plan, plan.steps === 3 ? ofFour : ofThree, 'STEP');
});
