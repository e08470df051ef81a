/** Small graphs that connect the model's graphs. They keep intermediate tensors in the executor, without a download. */
import type { Executor, Segment } from './executor.js';
import { OnnxGraph } from './onnx-writer.js';

/**
 * Concatenates the context: `k_context` = [`k_first`, `k_previous`] along the token axis, and the same for v; inputs
 * are [layers, tokens, dim].
 */
export function loadContextConcat(executor: Executor, layers: number, tokens: number, dim: number): Promise<Segment> {
  const graph = new OnnxGraph();
  for (const kind of ['k', 'v']) {
    const parts = ['first', 'previous'].map((whose) =>
      graph.input(`${kind}_${whose}`, 'float32', [layers, tokens, dim]),
    );
    graph.output(graph.op('Concat', parts, { axis: 1 }), `${kind}_context`, 'float32', [layers, 2 * tokens, dim]);
  }
  return executor.load(graph.write(), 'context');
}

/** One Euler step: `x_next` = `x` + `step` * `velocity`. `step` [1] is negative, since the noise level falls. */
export function loadEulerStep(executor: Executor, dims: readonly number[]): Promise<Segment> {
  const graph = new OnnxGraph();
  const x = graph.input('x', 'float32', dims);
  const velocity = graph.input('velocity', 'float32', dims);
  const step = graph.input('step', 'float32', [1]);
  graph.output(graph.op('Add', [x, graph.op('Mul', [velocity, step])]), 'x_next', 'float32', dims);
  return executor.load(graph.write(), 'euler');
}

/**
 * Joins chunks: `k_context` = [`k_0`, `k_1`, ..] along the token axis, and the same for v.
 * @param dims of one chunk, [layers, tokens, dim]
 */
export function loadChunkConcat(
  executor: Executor,
  chunks: number,
  [layers, tokens, dim]: readonly [number, number, number],
): Promise<Segment> {
  const graph = new OnnxGraph();
  for (const kind of ['k', 'v']) {
    const parts = Array.from({ length: chunks }, (_, i) =>
      graph.input(`${kind}_${i}`, 'float32', [layers, tokens, dim]),
    );
    graph.output(graph.op('Concat', parts, { axis: 1 }), `${kind}_context`, 'float32', [layers, chunks * tokens, dim]);
  }
  return executor.load(graph.write(), `join${chunks}`);
}
