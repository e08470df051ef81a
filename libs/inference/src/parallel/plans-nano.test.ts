/** The shipped model gives the same latents on every plan that fits it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Executor } from '../executor/executor.js';
import { createOrtExecutor } from '../executor/ort-executor.js';
import { type GraphModel, loadGraphModel } from '../model/model.js';
import { assertEqual, assertRefused, nameOf, oneDevice, PLANS } from '../testing/plan-equality.js';

const [TOKENS, HEADS, STEPS] = [12, 4, 2];

let model: GraphModel;
let executor: Executor;
let expected: Float32Array[];
before(async () => {
  model = await loadGraphModel(fileURLToPath(new URL('../../../../models/nano', import.meta.url)));
  executor = createOrtExecutor({ threads: 1 });
  expected = await oneDevice(model, executor);
});
after(() => executor[Symbol.asyncDispose]());

const sequenceFits = ({ sequence, exchange }: (typeof PLANS)[number]): boolean =>
  (exchange === 'all-gather' ? TOKENS : HEADS) % sequence === 0;
const stepsFit = ({ steps }: (typeof PLANS)[number]): boolean => STEPS % steps === 0;

for (const plan of PLANS.filter((candidate) => sequenceFits(candidate) && stepsFit(candidate)))
  test(`nano on ${nameOf(plan)} gives the latents of one device`, async (t) => {
    t.diagnostic(await assertEqual(model, executor, plan, expected));
  });

test('every other plan of up to 4 x 4 is refused with an error that names the setting', () => {
  const refused = PLANS.filter((plan) => !sequenceFits(plan) || !stepsFit(plan));
  assert.equal(refused.length, 18);
  for (const plan of refused) assertRefused(plan, model, sequenceFits(plan) ? 'STEP' : 'SEQUENCE');
});
