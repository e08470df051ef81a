/** A model for chunks of another length: the same weights, other graphs. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type QualityTier, qualityTiers } from '@talkmesh/contracts';
import { PictureDecoderEngine } from '../decoder/picture-decoder.js';
import type { Executor } from '../executor/executor.js';
import { createOrtExecutor } from '../executor/ort-executor.js';
import { MatchedScoreEngine } from '../score/matched-engine.js';
import { createFixtureModel, type FixtureModel } from '../testing/index.js';
import { chirp } from '../testing/rollout.js';
import { type GraphModel, loadGraphModel } from './model.js';

const BEST = [1, 0.85, 0.6, 0.3];

let executor: Executor;
let both: FixtureModel;
let seven: FixtureModel;
before(async () => {
  executor = createOrtExecutor({ threads: 1 });
  both = await createFixtureModel({ chunkLengths: [7], best: BEST });
  seven = await createFixtureModel({ latentFrames: 7, best: BEST });
});
after(async () => {
  for (const part of [executor, both, seven]) await part[Symbol.asyncDispose]();
});

/** Latents and frames of three chunks in a quality. */
async function made(model: GraphModel, tier: QualityTier): Promise<[Float32Array, readonly Uint8Array[]][]> {
  await using score = await MatchedScoreEngine.load(model, executor);
  await using decoder = await PictureDecoderEngine.load(model, executor);
  const session = await score.openSession({ avatar: 'bo', seed: 4, keepChunks: 2, tier });
  const pictures = await decoder.openSession({ avatar: 'bo', keepChunks: 2 });
  const chunks: [Float32Array, readonly Uint8Array[]][] = [];
  for (let chunk = 0; chunk < 3; chunk++) {
    const { values } = (await session.generate(chunk, chirp(model, chunk))) ?? { values: new Float32Array(0) };
    chunks.push([values, (await pictures.decode(chunk, values))?.frames ?? []]);
  }
  return chunks;
}

test('chunks of 7 of a model of 3 are, bit for bit, those of a model of 7 with the same weights, in every quality', async () => {
  const chosen = await loadGraphModel(both.folder, { chunkLatentFrames: 7 });
  const alone = await loadGraphModel(seven.folder);
  assert.deepEqual(chosen.geometry, alone.geometry);
  const tiers = qualityTiers(chosen.manifest);
  assert.deepEqual(
    tiers.map(({ size }) => size),
    ['7x2', '7x4'],
  );
  for (const tier of tiers) {
    const chunks = await made(chosen, tier);
    assert.deepEqual(chunks, await made(alone, tier));
    for (const [values, frames] of chunks)
      assert.deepEqual([values.length, frames.length], [chosen.geometry.latentValues, 28]);
  }
});

test('the label says a length that is not the own one; a missing graph of any length is an error', async () => {
  const labels = await Promise.all(
    [0, 3, 7].map(async (chunkLatentFrames) => (await loadGraphModel(both.folder, { chunkLatentFrames })).label),
  );
  assert.deepEqual(labels, ['fixture@1.0.0', 'fixture@1.0.0', 'fixture@1.0.0+chunk7']);
  await assert.rejects(loadGraphModel(both.folder, { chunkLatentFrames: 4 }), { reason: 'CONFIG_INVALID' });
  await rm(join(both.folder, 'decoder-7.onnx'));
  await assert.rejects(loadGraphModel(both.folder), { reason: 'MODEL_INVALID', message: /decoder-7\.onnx is missing/ });
});
