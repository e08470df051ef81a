import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DitDescription, GraphManifest } from '@talkmesh/contracts';
import { encodeSafetensors, wanDescription } from '../compile/index.js';
import { fixtureGeometry } from './fixture-dit.js';
import { createFixtureModel, type FixtureModel } from './fixture-model.js';
import { FIXTURE_SIZES, type FixtureSizes } from './fixture-weights.js';
import { randomTensors } from './random-tensors.js';

/** Sizes of the wide model: 12 heads and 48 tokens split over 1, 2, 3 and 4 ranks. */
export const WIDE_SIZES: Partial<FixtureSizes> = {
  latentHeight: 8,
  latentWidth: 8,
  channels: 8,
  dim: 192,
  heads: 12,
  layers: 3,
  schedule: [1, 0.85, 0.6, 0.3],
};

/**
 * Writes a model folder whose score network has the structure of the large open video models (Wan 2.1): patches of 2 x 2, rotary
 * positions over frame, row and column in adjacent pairs, RMS norms of queries and keys, affine norm before the audio's
 * cross-attention, velocity out. Random weights.
 */
export async function createWideModel(changes: Partial<FixtureSizes> = {}): Promise<FixtureModel> {
  const fixture = await createFixtureModel({ ...WIDE_SIZES, ...changes });
  const sizes = { ...FIXTURE_SIZES, ...fixture.sizes };
  const dit = wideDit(sizes);
  const path = join(fixture.folder, 'model.json');
  const manifest = JSON.parse(await readFile(path, 'utf8')) as GraphManifest;
  const bytes = encodeSafetensors(randomTensors(dit, fixtureGeometry(sizes), sizes.seed));
  const [weights = ''] = manifest.score.weights;
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const files = manifest.files.map((file) =>
    file.path === weights ? { path: weights, bytes: bytes.byteLength, sha256 } : file,
  );
  await writeFile(join(fixture.folder, weights), bytes);
  await writeFile(path, JSON.stringify({ ...manifest, score: { ...manifest.score, dit }, files }));
  return fixture;
}

/**
 * A small Wan transformer with one group of audio tokens per latent frame, as talking models have, and channels first,
 * as in nano.
 */
function wideDit({ dim, heads, layers }: FixtureSizes): DitDescription {
  const wan = wanDescription({ dim, mlp: 3 * dim, heads, layers, frequencies: 16, image: false });
  const cross = wan.cross && { ...wan.cross, tokens: { kind: 'frame' as const } };
  return { ...wan, ...(cross && { cross }), head: { ...wan.head, order: 'channel-first' } };
}
