/** Small graphs between the model's own, written here so that everything between two downloads stays with the executor. */
import type { Executor, Segment } from './executor.js';
import { OnnxGraph } from './onnx-writer.js';

/** `k_context` = [k_first, k_previous] along the token axis, and the same for v; all [layers, tokens, dim]. */
export function loadContextGlue(executor: Executor, layers: number, tokens: number, dim: number): Promise<Segment> {
  const graph = new OnnxGraph();
  for (const kind of ['k', 'v']) {
    const parts = ['first', 'previous'].map((whose) =>
      graph.input(`${kind}_${whose}`, 'float32', [layers, tokens, dim]),
    );
    graph.output(graph.op('Concat', parts, { axis: 1 }), `${kind}_context`, 'float32', [layers, 2 * tokens, dim]);
  }
  return executor.load(graph.write(), 'context');
}

/** One Euler step: `x_next` = x + step * velocity; `step` [1] is negative, towards less noise. */
export function loadEulerGlue(executor: Executor, dims: readonly number[]): Promise<Segment> {
  const graph = new OnnxGraph();
  const x = graph.input('x', 'float32', dims);
  const velocity = graph.input('velocity', 'float32', dims);
  const step = graph.input('step', 'float32', [1]);
  graph.output(graph.op('Add', [x, graph.op('Mul', [velocity, step])]), 'x_next', 'float32', dims);
  return executor.load(graph.write(), 'euler');
}
