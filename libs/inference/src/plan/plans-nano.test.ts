/** The model that ships gives the same latents on any plan. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Executor } from '../executor.js';
import { loadModel, type Model } from '../model.js';
import { createOrtExecutor } from '../ort-executor.js';
import { comparePlan, oneDevice, PLAN_TOLERANCE } from '../testing/plan-equality.js';

let model: Model;
let executor: Executor;
let expected: Float32Array[];
before(async () => {
  model = await loadModel(fileURLToPath(new URL('../../../../models/nano', import.meta.url)));
  executor = createOrtExecutor({ threads: 1 });
  expected = await oneDevice(model, executor);
});
after(() => executor[Symbol.asyncDispose]());

for (const [sequence, steps, exchange] of [
  [2, 1, 'all-gather'],
  [3, 1, 'all-gather'],
  [4, 1, 'all-gather'],
  [2, 1, 'ulysses'],
  [4, 1, 'ulysses'],
  [1, 2, 'all-gather'],
  [2, 2, 'all-gather'],
  [3, 2, 'all-gather'],
  [2, 2, 'ulysses'],
] as const)
  test(`nano, sequence ${sequence} x steps ${steps}, ${exchange}: the latents of one device`, async (t) => {
    const difference = await comparePlan(model, executor, { sequence, steps, exchange }, expected);
    t.diagnostic(`largest difference ${difference}`);
    assert.ok(difference <= PLAN_TOLERANCE, `differs by ${difference}`);
    assert.ok(Math.max(...expected.flatMap((values) => [...values.map(Math.abs)])) > 0.5, 'and is not nothing');
  });
