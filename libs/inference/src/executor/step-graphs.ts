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

/** BT.601 in limited range, for RGB in 0..1: rows Y, U and V, then what is added. */
const BT601 = {
  rows: [65.481, 128.553, 24.966, -37.797, -74.203, 112, 112, -93.786, -18.214],
  offsets: [16, 128, 128],
} as const;

/** `rgb` [frames, 3, height, width] in 0..1 -> `frames` [frames, height * width * 3 / 2], planar I420; chroma is the mean of 2x2 pixels. */
export function loadRgbToI420(executor: Executor, height: number, width: number): Promise<Segment> {
  const graph = new OnnxGraph();
  const rgb = graph.input('rgb', 'float32', ['frames', 3, height, width]);
  const matrix = graph.floats(BT601.rows, [3, 3, 1, 1]);
  const yuv = graph.op('Conv', [rgb, matrix, graph.floats(BT601.offsets, [3])]);
  const [luma, chroma] = graph.ops('Split', [yuv, graph.ints(1, 2)], 2, { axis: 1 }) as [string, string];
  const small = graph.op('AveragePool', [chroma], { kernel_shape: [2, 2], strides: [2, 2] });
  const flat = (value: string, count: number): string => graph.op('Reshape', [value, graph.ints(-1, count)]);
  const both = graph.op('Concat', [flat(luma, height * width), flat(small, (height * width) / 2)], { axis: 1 });
  // TensorProto.DataType UINT8.
  const bytes = graph.op('Cast', [graph.op('Round', [both])], { to: 2 });
  graph.output(bytes, 'frames', 'uint8', ['frames', (height * width * 3) / 2]);
  return executor.load(graph.write(), 'i420');
}
