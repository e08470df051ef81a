import type { DitDescription } from '@talkmesh/contracts';
import type { DitGeometry } from '../compile/index.js';
import type { FixtureSizes } from './fixture-weights.js';

export function fixtureGeometry(sizes: FixtureSizes): DitGeometry {
  const { latentFrames, channels, latentHeight: height, latentWidth: width, tokensPerFrame, tokenDim } = sizes;
  return { latentFrames, channels, height, width, condition: { tokens: tokensPerFrame, dim: tokenDim } };
}

/**
 * Has the structure of the shipped model: audio enters by cross-attention, at the entry and in the MLP's norm; it
 * predicts x0.
 */
export function fixtureDit(sizes: FixtureSizes): DitDescription {
  const { dim, heads, layers } = sizes;
  const norm = { kind: 'layer', eps: 1e-5 } as const;
  const block = 'blocks.{i}.';
  const head = 1 + layers * 6 * dim;
  return {
    schema: 'talkmesh.dit/1',
    dim,
    heads,
    layers,
    mlp: 2 * dim,
    patch: { size: [1, 1], enter: 'enter', slots: 'slots' },
    rope: { pairs: 'half', axes: [{ axis: 'frame', pairs: dim / heads / 2, theta: 100 }], contextChunks: 2 },
    time: {
      scale: 1,
      frequencies: { tensor: 'time.frequencies', count: 4 },
      inner: 'time.inner',
      hidden: 8,
      outer: 'time.outer',
      output: ['t', 'outer'],
    },
    modulation: {
      size: head + 2 * dim,
      t: 0,
      layer: { offset: 1, stride: 6 * dim, table: `${block}bias` },
      head: { offset: head, stride: dim },
    },
    attention: { norm, qkv: { kind: 'fused', all: `${block}qkv` }, out: `${block}out` },
    cross: {
      norm,
      q: `${block}audio_q`,
      kv: { kind: 'fused', all: `${block}audio_kv` },
      out: `${block}audio_out`,
      tokens: { kind: 'frame', place: 'audio_place' },
      slotGate: `${block}audio_gate`,
    },
    entry: 'audio_enter',
    film: { enter: 'audio_film', activation: 'silu', layer: `${block}film` },
    feedForward: { norm, up: `${block}up`, activation: 'gelu-tanh', down: `${block}down` },
    head: {
      norm,
      leave: 'leave',
      order: 'channel-first',
      skip: 'skip',
      predicts: { kind: 'x0', limit: 3, minT: 0.02 },
    },
  };
}
