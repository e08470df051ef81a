import { NoiseSource } from '../noise.js';

/** Sizes of the fixture network; small, so that a chunk takes about a millisecond. */
export interface FixtureSizes {
  readonly width: number;
  readonly height: number;
  readonly fps: number;
  readonly latentFrames: number;
  readonly temporalCompression: number;
  readonly channels: number;
  readonly latentHeight: number;
  readonly latentWidth: number;
  readonly historySamples: number;
  readonly tokensPerFrame: number;
  readonly tokenDim: number;
  readonly layers: number;
  readonly dim: number;
  readonly heads: number;
  readonly schedule: readonly number[];
  readonly seed: number;
}

export const FIXTURE_SIZES: FixtureSizes = {
  width: 64,
  height: 64,
  fps: 25,
  latentFrames: 3,
  temporalCompression: 4,
  channels: 8,
  latentHeight: 2,
  latentWidth: 2,
  historySamples: 2400,
  tokensPerFrame: 4,
  tokenDim: 6,
  layers: 2,
  dim: 16,
  heads: 2,
  schedule: [1, 0.6],
  seed: 20_261_122,
};

/** A row-major matrix. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float32Array;
}

export interface LayerWeights {
  readonly query: Matrix;
  readonly key: Matrix;
  readonly value: Matrix;
  readonly out: Matrix;
  readonly up: Matrix;
  readonly down: Matrix;
}

/** Every random number of the fixture network; a function of the seed. */
export interface FixtureWeights {
  readonly audioEnergy: Matrix;
  readonly audioHistory: Matrix;
  readonly timestepFrequency: Matrix;
  readonly timestepPhase: Matrix;
  readonly embed: Matrix;
  readonly embedAudio: Matrix;
  readonly layers: readonly LayerWeights[];
  readonly velocity: Matrix;
  readonly reference: Matrix;
  readonly brightness: Matrix;
}

export function fixtureWeights(sizes: FixtureSizes): FixtureWeights {
  const source = new NoiseSource(sizes.seed);
  let drawn = 0;
  const matrix = (rows: number, columns: number, gain = 1): Matrix => {
    const scale = gain / Math.sqrt(rows);
    const values = source.noise(drawn++, 0, rows * columns).map((value) => value * scale);
    return { rows, columns, values };
  };
  const { channels, dim, tokenDim, latentFrames, latentHeight, latentWidth } = sizes;
  const cell = channels * latentHeight * latentWidth;
  return {
    audioEnergy: matrix(1, tokenDim, 8),
    audioHistory: matrix(1, tokenDim, 4),
    timestepFrequency: matrix(1, dim, 3),
    timestepPhase: matrix(1, dim, 3),
    embed: matrix(channels, dim),
    embedAudio: matrix(tokenDim, dim),
    layers: Array.from({ length: sizes.layers }, () => ({
      query: matrix(dim, dim),
      key: matrix(dim, dim),
      value: matrix(dim, dim),
      out: matrix(dim, dim),
      up: matrix(dim, dim),
      down: matrix(dim, dim),
    })),
    velocity: matrix(dim, channels, 0.3),
    reference: matrix(9, latentFrames * cell),
    brightness: matrix(cell, 1, 0.6),
  };
}

/** cos and sin of rotary position embedding for positions 0 to 3 * latentFrames - 1, [positions][dim / heads / 2]. */
export function rotaryTable(sizes: FixtureSizes): { cos: number[][]; sin: number[][] } {
  const half = sizes.dim / sizes.heads / 2;
  const angles = Array.from({ length: 3 * sizes.latentFrames }, (_, position) =>
    Array.from({ length: half }, (_, i) => position * 100 ** (-i / half)),
  );
  return { cos: angles.map((row) => row.map(Math.cos)), sin: angles.map((row) => row.map(Math.sin)) };
}
