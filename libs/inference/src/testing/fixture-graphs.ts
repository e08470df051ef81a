/**
 * The graphs of a model folder besides its score network: the interface of the shipped models with minimal
 * computations.
 */
import { OnnxGraph } from '../executor/onnx-writer.js';
import type { FixtureSizes, FixtureWeights, Matrix } from './fixture-weights.js';

/** Of a slice that takes all that follows. */
const END = 2 ** 31;

const constant = (graph: OnnxGraph, matrix: Matrix): string =>
  graph.floats(matrix.values, [matrix.rows, matrix.columns]);

/** Energy of each token's slice of the chunk, plus a little of the history's mean level. */
export function audioGraph(sizes: FixtureSizes, weights: FixtureWeights): Uint8Array {
  const { historySamples, latentFrames, tokensPerFrame, tokenDim } = sizes;
  const samples = (24_000 / sizes.fps) * latentFrames * sizes.temporalCompression;
  const slice = samples / latentFrames / tokensPerFrame;
  const graph = new OnnxGraph();
  const isFree = sizes.chunkLengths !== undefined;
  const pcm = graph.input('pcm', 'float32', [isFree ? 'samples' : historySamples + samples]);
  const [start, border, end] = [graph.ints(0), graph.ints(historySamples), graph.ints(END)];
  const history = graph.op('Slice', [pcm, start, border]);
  const level = graph.op('ReduceMean', [graph.op('Abs', [history])], { axes: [0], keepdims: 1 });
  const chunk = graph.op('Reshape', [graph.op('Slice', [pcm, border, end]), graph.ints(-1, tokensPerFrame, slice)]);
  const energy = graph.op('Sqrt', [
    graph.op('ReduceMean', [graph.op('Mul', [chunk, chunk])], { axes: [2], keepdims: 1 }),
  ]);
  const tokens = graph.op('Add', [
    graph.op('MatMul', [energy, constant(graph, weights.audioEnergy)]),
    graph.op('Mul', [level, constant(graph, weights.audioHistory)]),
  ]);
  const frames = isFree ? 'latent_frames' : latentFrames;
  graph.output(tokens, 'audio_tokens', 'float32', [frames, tokensPerFrame, tokenDim]);
  return graph.write();
}

/** Computes c_0 from mean colour and landmarks. The decoder gets the reference picture's luma and grey chroma. */
export function referenceGraph(sizes: FixtureSizes, weights: FixtureWeights): Uint8Array {
  const { width, height, latentFrames, channels, latentHeight, latentWidth } = sizes;
  const graph = new OnnxGraph();
  const image = graph.op('Cast', [graph.input('image', 'uint8', [height, width, 3])], { to: 1 });
  const landmarks = graph.input('landmarks', 'float32', [3, 2]);
  const colour = graph.op('ReduceMean', [image], { axes: [0, 1], keepdims: 0 });
  const facts = graph.op(
    'Concat',
    [
      graph.op('Div', [colour, graph.floats([255], [1])]),
      graph.op('Div', [graph.op('Reshape', [landmarks, graph.ints(6)]), graph.floats([width], [1])]),
    ],
    { axis: 0 },
  );
  const row = graph.op('MatMul', [graph.op('Reshape', [facts, graph.ints(1, 9)]), constant(graph, weights.reference)]);
  const grid = [latentFrames, channels, latentHeight, latentWidth];
  graph.output(graph.op('Reshape', [graph.op('Tanh', [row]), graph.ints(...grid)]), 'c0', 'float32', grid);
  const grey = graph.op('Reshape', [
    graph.op('ReduceMean', [image], { axes: [2], keepdims: 0 }),
    graph.ints(width * height),
  ]);
  const luma = graph.op('Add', [graph.op('Mul', [grey, graph.floats([219 / 255], [1])]), graph.floats([16], [1])]);
  const chroma = graph.floats(new Float32Array((width * height) / 2).fill(128), [(width * height) / 2]);
  const base = graph.op('Concat', [luma, chroma], { axis: 0 });
  graph.output(base, 'reference_base', 'float32', [(width * height * 3) / 2]);
  return graph.write();
}

/** Brightens or darkens the reference picture by the latents, and interpolates the frames between two latent frames. */
export function decoderGraph(sizes: FixtureSizes, weights: FixtureWeights): Uint8Array {
  const { width, height, latentFrames, channels, latentHeight, latentWidth, temporalCompression } = sizes;
  const cell = channels * latentHeight * latentWidth;
  const frames = latentFrames * temporalCompression;
  const bytes = (width * height * 3) / 2;
  const graph = new OnnxGraph();
  const latent = graph.input('latent', 'float32', [latentFrames, channels, latentHeight, latentWidth]);
  const state = graph.input('state', 'float32', [channels, latentHeight, latentWidth]);
  const base = graph.input('reference_base', 'float32', [bytes]);
  const rows = graph.op('Reshape', [latent, graph.ints(latentFrames, cell)]);
  const path = graph.op('Concat', [graph.op('Reshape', [state, graph.ints(1, cell)]), rows], { axis: 0 });
  const between = new Float32Array(frames * (latentFrames + 1));
  for (let frame = 0; frame < frames; frame++) {
    const from = Math.floor(frame / temporalCompression);
    const part = ((frame % temporalCompression) + 1) / temporalCompression;
    between[frame * (latentFrames + 1) + from] = 1 - part;
    between[frame * (latentFrames + 1) + from + 1] = part;
  }
  const motion = graph.op('MatMul', [graph.floats(between, [frames, latentFrames + 1]), path]);
  const level = graph.op('Tanh', [graph.op('MatMul', [motion, constant(graph, weights.brightness)])]);
  const lumaOnly = new Float32Array(bytes).fill(40, 0, width * height);
  const change = graph.op('Mul', [level, graph.floats(lumaOnly, [1, bytes])]);
  const pixels = graph.op('Clip', [graph.op('Add', [change, base]), graph.floats([16], []), graph.floats([240], [])]);
  graph.output(graph.op('Cast', [pixels], { to: 2 }), 'frames', 'uint8', [frames, bytes]);
  const last = graph.op('Slice', [rows, graph.ints(latentFrames - 1), graph.ints(latentFrames), graph.ints(0)]);
  const shape = [channels, latentHeight, latentWidth];
  graph.output(graph.op('Reshape', [last, graph.ints(...shape)]), 'state_out', 'float32', shape);
  return graph.write();
}
