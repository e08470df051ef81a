/** The audio encoder against the published code, whose results training/published wrote. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Executor } from '../executor/executor.js';
import { createOrtExecutor } from '../executor/ort-executor.js';
import { runOnce } from '../testing/compile-cases.js';
import { golden, relativeError, seeded, seededWeights } from '../testing/seeded-weights.js';
import { neededTensors } from './needed-weights.js';
import type { Weights } from './safetensors.js';
import { compileWav2Vec2, soundValues, WAV2VEC2_BASE } from './wav2vec2.js';

/** As in training/published/wav2vec2.py. */
const SIZES = {
  ...WAV2VEC2_BASE,
  channels: 16,
  dim: 32,
  mlp: 64,
  heads: 2,
  layers: 3,
  positions: { kernel: 16, groups: 4 },
};
const [FRAMES, SAMPLES] = [29, 29_000];

let executor: Executor;
let folder: string;
before(async () => {
  executor = createOrtExecutor({ threads: 1 });
  folder = await mkdtemp(join(tmpdir(), 'talkmesh-wav2vec2-'));
});
after(async () => {
  await executor[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const encoder = (weights: Weights, kept: number) =>
  compileWav2Vec2(SIZES, weights, { samples: SAMPLES, frames: FRAMES, kept });

test('all hidden states of a window equal the published ones, interpolated to the frames', async () => {
  const weights = await seededWeights(
    folder,
    neededTensors((needed) => encoder(needed, FRAMES)),
    41,
  );
  const { values } = await golden('wav2vec2', 'hidden');
  const pcm = { values: seeded(42, 0, SAMPLES).map((value) => Math.fround(value * 0.1) + 0.02), dims: [SAMPLES] };
  const { hidden } = await runOnce(executor, encoder(weights, FRAMES), { pcm });
  const error = relativeError(hidden?.values ?? [], values);
  assert.ok(error < 1e-4, `relative error ${error}`);
  assert.deepEqual(hidden?.dims, [FRAMES, soundValues(SIZES)]);
  const last = await runOnce(executor, encoder(weights, 12), { pcm });
  assert.deepEqual(last['hidden']?.values, hidden?.values.slice(-12 * soundValues(SIZES)));
});
