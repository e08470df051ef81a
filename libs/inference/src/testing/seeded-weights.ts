/** The random weights and goldens of training/published, which runs the published code of public models. */
import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { encodeSafetensors, openWeights, readWeight, type Weights } from '../compile/index.js';
import { NoiseSource } from '../score/noise.js';
import type { Array32 } from './compile-cases.js';

const GOLDENS = fileURLToPath(new URL('../../src/testing/published', import.meta.url));

/** Values from one stream of the seed. */
export function seeded(seed: number, stream: number, count: number, step = 0): Float32Array {
  return new NoiseSource(seed).noise(stream, step, count);
}

/** Writes the tensors with values of the seed: one stream per tensor in the order of the names, scaled as training/published/seeded.py does it. */
export async function seededWeights(
  folder: string,
  shapes: ReadonlyMap<string, readonly number[]>,
  seed: number,
): Promise<Weights> {
  const source = new NoiseSource(seed);
  const tensors = [...shapes.keys()].sort().map((name, stream) => {
    const dims = shapes.get(name) as readonly number[];
    const count = dims.reduce((product, dim) => product * dim, 1);
    const norm = (name.includes('norm') && name.endsWith('weight')) || name.endsWith('gamma');
    const gain = Math.fround(gainOf(name, dims, norm));
    const values = source.noise(stream, 0, count).map((value) => Math.fround(value * gain) + (norm ? 1 : 0));
    return { name, dims, values };
  });
  // A folder of its own: the runtime maps weight files into memory, so they must not change.
  const own = await mkdtemp(join(folder, 'weights-'));
  await writeFile(join(own, 'seeded.safetensors'), encodeSafetensors(tensors));
  return openWeights(own, ['seeded.safetensors']);
}

function gainOf(name: string, dims: readonly number[], norm: boolean): number {
  if (norm) return 0.2;
  const wide = dims.filter((dim) => dim > 1);
  if (name.endsWith('bias') || wide.length < 2) return 0.1;
  return wide.slice(1).reduce((product, dim) => product * dim, 1) ** -0.5;
}

export async function golden(file: string, name: string): Promise<Array32> {
  const weights = await openWeights(GOLDENS, [`${file}.safetensors`]);
  return { values: await readWeight(weights, name), dims: weights.get(name).dims };
}

/** Norm of the difference over the norm of what was wanted; infinite for NaN or another number of values. */
export function relativeError(got: ArrayLike<number>, wanted: ArrayLike<number>): number {
  if (got.length !== wanted.length) return Number.POSITIVE_INFINITY;
  let [apart, size] = [0, 0];
  for (let i = 0; i < got.length; i++) {
    apart += ((got[i] as number) - (wanted[i] as number)) ** 2;
    size += (wanted[i] as number) ** 2;
  }
  const error = Math.sqrt(apart / size);
  return Number.isNaN(error) ? Number.POSITIVE_INFINITY : error;
}
