import type { DitDescription } from '@talkmesh/contracts';
import { type DitGeometry, type ExpectedTensor, expectedTensors, type SafetensorsTensor } from '../compile/index.js';
import { NoiseSource } from '../score/noise.js';

/**
 * Random weights for any description, deterministic in the seed, scaled so that signals keep their magnitude from layer
 * to layer.
 */
export function randomTensors(dit: DitDescription, geometry: DitGeometry, seed: number): SafetensorsTensor[] {
  const source = new NoiseSource(seed);
  return [...expectedTensors(dit, geometry)].map(([name, tensor], i) => {
    const count = tensor.dims.reduce((product, dim) => product * dim, 1);
    return { name, dims: tensor.dims, values: source.noise(i, 0, count).map(scaled(tensor)) };
  });
}

function scaled({ role, dims }: ExpectedTensor): (value: number) => number {
  if (role === 'norm') return (value) => 1 + 0.2 * value;
  const gain = role === 'weight' ? 1 / Math.sqrt(dims[1] ?? 1) : 0.3;
  return (value) => value * gain;
}
