import { NoiseSource } from '../score/noise.js';

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
  /** Of the tier `best`; undefined: there is none. */
  readonly best?: readonly number[];
  /** Other lengths of a chunk, latent frames; with any, the audio encoder takes sound of any length. */
  readonly chunkLengths?: readonly number[];
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

/** All random numbers of the graphs besides the score network; they depend only on the seed. */
export interface FixtureWeights {
  readonly audioEnergy: Matrix;
  readonly audioHistory: Matrix;
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
  const { channels, tokenDim, latentFrames, latentHeight, latentWidth } = sizes;
  const cell = channels * latentHeight * latentWidth;
  return {
    audioEnergy: matrix(1, tokenDim, 8),
    audioHistory: matrix(1, tokenDim, 4),
    reference: matrix(9, latentFrames * cell),
    brightness: matrix(cell, 1, 0.6),
  };
}
