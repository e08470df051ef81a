import { Weights } from './safetensors.js';
import type { WeightEntry } from './weight-file.js';

/** Records which tensors a graph needs, so that the graph's code is the only list of them. */
export class NeededWeights extends Weights {
  readonly shapes = new Map<string, readonly number[]>();

  constructor() {
    super('.', [], new Map());
  }

  override get(name: string, wanted: readonly number[] = []): WeightEntry {
    this.shapes.set(name, wanted);
    return { name, type: 'F32', dims: wanted, file: 'needed', offset: 0, bytes: 0 };
  }
}

/** @param compile compiles one or several graphs with the weights that it gets @returns tensors by name, with their shapes */
export function neededTensors(compile: (weights: Weights) => unknown): ReadonlyMap<string, readonly number[]> {
  const needed = new NeededWeights();
  compile(needed);
  return needed.shapes;
}
