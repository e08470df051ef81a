/** Counts what one run of a compiled graph computes and reads, from the shapes of its values. */
import { readOnnx } from '../executor/onnx-reader.js';
import { type Shape, shapesOf } from './shapes.js';
import type { CompiledSegment } from './types.js';

export interface GraphCost {
  /** Multiplications and additions of matrix products, convolutions and attention; what is done value by value is not counted. */
  readonly operations: number;
  /** The same by ONNX operator. */
  readonly byOperator: Readonly<Record<string, number>>;
  /** Numbers in the weights, each counted once. */
  readonly weights: number;
  /** Numbers in the inputs and in the outputs. */
  readonly inputs: number;
  readonly outputs: number;
}

const product = (dims: Shape): number => dims.reduce((all, dim) => all * dim, 1);

/** Multiplications and additions, from the shapes of inputs and output. */
const COUNTED: Readonly<Record<string, (inputs: readonly Shape[], output: Shape) => number>> = {
  Gemm: ([a = []], output) => (2 * product(a) * product(output)) / (output[0] as number),
  MatMul: ([a = []], output) => 2 * product(output) * (a.at(-1) as number),
  // Output values times the input channels of a group times the places of the kernel.
  Conv: ([, kernel = []], output) => 2 * product(output) * product(kernel.slice(1)),
  // Queries times keys, then weights times values.
  MultiHeadAttention: ([q = [], k = [], v = []]) =>
    2 * product(q) * (k[1] as number) + 2 * product([q[0] ?? 0, q[1] ?? 0, ...v.slice(1)]),
};

/**
 * @param free sizes of the dimensions that the graph leaves open, such as the tokens of the context
 * @throws Error for a free dimension without a size, and for operators that the graph compiler does not emit
 */
export function graphCost(segment: CompiledSegment, free: Readonly<Record<string, number>> = {}): GraphCost {
  const sized = (dims: readonly (number | string)[]): Shape =>
    dims.map((dim) => {
      const size = typeof dim === 'number' ? dim : free[dim];
      if (size === undefined) throw new Error(`${segment.name} leaves ${dim} open; give its size`);
      return size;
    });
  const inputs = new Map(segment.inputs.map(({ name, dims }) => [name, sized(dims)]));
  const graph = readOnnx(segment.onnx);
  const shapes = shapesOf(graph, inputs);
  const byOperator: Record<string, number> = {};
  for (const { type, inputs: names, outputs } of graph.nodes) {
    const count = COUNTED[type];
    if (count === undefined) continue;
    const all = names.map((name) => shapes.get(name) ?? []);
    byOperator[type] = (byOperator[type] ?? 0) + count(all, shapes.get(outputs[0] ?? '') as Shape);
  }
  const values = (shape: Iterable<Shape | undefined>): number =>
    [...shape].reduce((sum, dims) => sum + product(dims ?? []), 0);
  return {
    operations: Object.values(byOperator).reduce((sum, count) => sum + count, 0),
    byOperator,
    weights: values([...graph.tensors.values()].flatMap(({ external, dims }) => (external ? [dims] : []))),
    inputs: values(inputs.values()),
    outputs: values(segment.outputs.map(({ name }) => shapes.get(name))),
  };
}
