import { Weights } from './safetensors.js';
import type { WeightEntry } from './weight-file.js';

type Known = ReadonlyMap<string, { readonly dims: readonly number[] }>;

/** Records which tensors a graph needs, so that the graph's code is the only list of them. */
export class NeededWeights extends Weights {
  readonly shapes = new Map<string, readonly number[]>();
  readonly #known: Known;

  /** @param known tensors whose shapes the graphs take from the weights */
  constructor(known: Known = new Map()) {
    super('.', [], new Map());
    this.#known = known;
  }

  override get(name: string, wanted?: readonly number[]): WeightEntry {
    const dims = wanted ?? this.#known.get(name)?.dims ?? [];
    this.shapes.set(name, dims);
    return { name, type: 'F32', dims, file: 'needed', offset: 0, bytes: 0 };
  }
}

/** @param compile compiles one or several graphs with the weights that it gets @returns tensors by name, with their shapes */
export function neededTensors(compile: (weights: Weights) => unknown): ReadonlyMap<string, readonly number[]> {
  const needed = new NeededWeights();
  compile(needed);
  return needed.shapes;
}
