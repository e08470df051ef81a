/** FlashHead's transformer and its schedule against the published pipeline, whose results training/published wrote. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Executor } from '../executor/executor.js';
import { createOrtExecutor } from '../executor/ort-executor.js';
import { finished, noised, shiftedLevels } from '../score/flow-schedule.js';
import { type Array32, runOnce } from '../testing/compile-cases.js';
import { golden, relativeError, seeded, seededWeights } from '../testing/seeded-weights.js';
import { compileFlashHeadSound, flashHeadDescription, flashHeadFrames } from './flash-head.js';
import { neededTensors } from './needed-weights.js';
import { compileTimestep, compileWhole } from './segments.js';
import { expectedTensors } from './tensors.js';

/** As in training/published/flash_head.py. */
const SEED = { weights: 71, noise: 72, inputs: 73 };
const [CHUNKS, LATENTS, CHANNELS, SIDE] = [2, 5, 16, 4];
const SIZES = { dim: 64, mlp: 128, heads: 2, layers: 3, frequencies: 8, image: false };
const SOUND = { values: 12 * 6, around: 2, hidden: 24, tokens: 8 };
const FRAME = CHANNELS * SIDE * SIDE;
/** Latents that a chunk shares with the one before it. */
const OVERLAP = 2;

let executor: Executor;
let folder: string;
before(async () => {
  executor = createOrtExecutor({ threads: 1 });
  folder = await mkdtemp(join(tmpdir(), 'talkmesh-flash-head-'));
});
after(async () => {
  await executor[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

test('two chunks, of which the second continues the first, equal the published pipeline', async () => {
  const dit = flashHeadDescription(SIZES);
  const grid = { latentFrames: LATENTS, channels: CHANNELS, given: CHANNELS, height: SIDE, width: SIDE };
  const geometry = { ...grid, condition: { tokens: SOUND.tokens, dim: SIZES.dim } };
  const hears = (weights: Parameters<typeof compileFlashHeadSound>[2]) =>
    compileFlashHeadSound(SOUND, SIZES.dim, weights, LATENTS);
  const shapes = [...expectedTensors(dit, geometry, CHANNELS)].map(([name, { dims }]) => [name, dims] as const);
  const weights = await seededWeights(folder, new Map([...shapes, ...neededTensors(hears)]), SEED.weights);
  const [sound, timestep] = [hears(weights), compileTimestep(dit, weights)];
  const score = compileWhole(dit, weights, geometry, { condition: 'inside' });
  const levels = shiftedLevels(4, 5);
  assert.ok(relativeError(levels, (await golden('flash_head', 'levels')).values) < 1e-6);
  const dims = [LATENTS, CHANNELS, SIDE, SIDE];
  const given = { values: seeded(SEED.inputs, 0, LATENTS * FRAME), dims };
  const empty: Array32 = { values: new Float32Array(0), dims: [SIZES.layers, 0, SIZES.dim] };
  const { values: wanted } = await golden('flash_head', 'latents');
  let begins = given.values.slice(0, FRAME);
  for (let chunk = 0; chunk < CHUNKS; chunk++) {
    const frames = flashHeadFrames(SOUND, LATENTS);
    const hidden = { values: seeded(SEED.inputs, 1 + chunk, frames * SOUND.values), dims: [frames, SOUND.values] };
    const heard = await runOnce(executor, sound, { hidden });
    let x = seeded(SEED.noise, chunk, LATENTS * FRAME);
    for (const [step, level] of levels.entries()) {
      x.set(begins);
      const t = { values: Float32Array.of(level), dims: [1] };
      const inputs = {
        ...heard,
        ...(await runOnce(executor, timestep, { t })),
        ...{ x: { values: x, dims }, given, k_context: empty, v_context: empty },
      };
      const { velocity } = await runOnce(executor, score, inputs);
      const latents = finished(x, velocity?.values ?? new Float32Array(0), level);
      const next = levels[step + 1];
      x = next === undefined ? latents : noised(latents, seeded(SEED.noise, chunk, x.length, step + 1), next);
    }
    x.set(begins);
    const error = relativeError(x, wanted.slice(chunk * x.length, (chunk + 1) * x.length));
    assert.ok(error < 1e-4, `chunk ${chunk}: relative error ${error}`);
    begins = x.slice(-OVERLAP * FRAME);
  }
});
