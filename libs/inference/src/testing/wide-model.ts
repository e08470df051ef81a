import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DitDescription, ModelManifest } from '@talkmesh/contracts';
import { encodeSafetensors } from '../compile/index.js';
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
 * A model folder whose score network is of the shape of the large open video models (Wan 2.1): patches of 2 x 2, rotary
 * positions over frame, row and column in adjacent pairs, RMS norms of queries and keys, affine norm before the audio's
 * cross-attention, velocity out. Random weights.
 */
export async function createWideModel(changes: Partial<FixtureSizes> = {}): Promise<FixtureModel> {
  const fixture = await createFixtureModel({ ...WIDE_SIZES, ...changes });
  const sizes = { ...FIXTURE_SIZES, ...fixture.sizes };
  const dit = wideDit(sizes);
  const path = join(fixture.folder, 'model.json');
  const manifest = JSON.parse(await readFile(path, 'utf8')) as ModelManifest;
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

function wideDit({ dim, heads, layers }: FixtureSizes): DitDescription {
  const pairs = dim / heads / 2;
  const norm = { kind: 'layer', eps: 1e-6 } as const;
  const own = 'blocks.{i}.self_attn.';
  const cross = 'blocks.{i}.cross_attn.';
  return {
    schema: 'talkmesh.dit/1',
    dim,
    heads,
    layers,
    mlp: 3 * dim,
    patch: { size: [2, 2], enter: 'patch_embedding' },
    rope: {
      pairs: 'adjacent',
      axes: [
        { axis: 'frame', pairs: pairs - 2 * Math.floor(pairs / 3), theta: 10_000 },
        { axis: 'row', pairs: Math.floor(pairs / 3), theta: 10_000 },
        { axis: 'column', pairs: Math.floor(pairs / 3), theta: 10_000 },
      ],
      contextChunks: 2,
    },
    time: {
      scale: 1000,
      frequencies: { count: 16, theta: 10_000 },
      inner: 'time_embedding.0',
      hidden: dim,
      outer: 'time_embedding.2',
      projection: 'time_projection.1',
      output: ['outer', 'projection'],
    },
    modulation: {
      size: 7 * dim,
      layer: { offset: dim, stride: 0, table: 'blocks.{i}.modulation' },
      head: { offset: 0, stride: 0, table: 'head.modulation' },
    },
    attention: {
      norm,
      qkv: { kind: 'separate', q: `${own}q`, k: `${own}k`, v: `${own}v` },
      qkNorm: { eps: 1e-6, q: `${own}norm_q.weight`, k: `${own}norm_k.weight` },
      out: `${own}o`,
    },
    cross: {
      norm: { ...norm, affine: 'blocks.{i}.norm3' },
      q: `${cross}q`,
      kv: { kind: 'separate', k: `${cross}k`, v: `${cross}v` },
      out: `${cross}o`,
      qkNorm: { eps: 1e-6, q: `${cross}norm_q.weight`, k: `${cross}norm_k.weight` },
      tokens: { kind: 'frame' },
    },
    feedForward: { norm, up: 'blocks.{i}.ffn.0', activation: 'gelu-tanh', down: 'blocks.{i}.ffn.2' },
    head: { norm, leave: 'head.head', order: 'channel-first', predicts: { kind: 'velocity' } },
  };
}
