/** The five graphs of a model folder with the interface of the shipped models, as small as they can be. */
import { OnnxGraph } from '../onnx-writer.js';
import {
  type FixtureSizes,
  type FixtureWeights,
  type LayerWeights,
  type Matrix,
  rotaryTable,
} from './fixture-weights.js';

const constant = (graph: OnnxGraph, matrix: Matrix): string =>
  graph.floats(matrix.values, [matrix.rows, matrix.columns]);

/** Energy of each token's slice of the chunk, plus a little of the history's mean level. */
export function audioGraph(sizes: FixtureSizes, weights: FixtureWeights): Uint8Array {
  const { historySamples, latentFrames, tokensPerFrame, tokenDim } = sizes;
  const samples = (24_000 / sizes.fps) * latentFrames * sizes.temporalCompression;
  const slice = samples / latentFrames / tokensPerFrame;
  const graph = new OnnxGraph();
  const pcm = graph.input('pcm', 'float32', [historySamples + samples]);
  const [start, border, end] = [graph.ints(0), graph.ints(historySamples), graph.ints(historySamples + samples)];
  const history = graph.op('Slice', [pcm, start, border]);
  const level = graph.op('ReduceMean', [graph.op('Abs', [history])], { axes: [0], keepdims: 1 });
  const chunk = graph.op('Reshape', [
    graph.op('Slice', [pcm, border, end]),
    graph.ints(latentFrames, tokensPerFrame, slice),
  ]);
  const energy = graph.op('Sqrt', [
    graph.op('ReduceMean', [graph.op('Mul', [chunk, chunk])], { axes: [2], keepdims: 1 }),
  ]);
  const tokens = graph.op('Add', [
    graph.op('MatMul', [energy, constant(graph, weights.audioEnergy)]),
    graph.op('Mul', [level, constant(graph, weights.audioHistory)]),
  ]);
  graph.output(tokens, 'audio_tokens', 'float32', [latentFrames, tokensPerFrame, tokenDim]);
  return graph.write();
}

export function timestepGraph(sizes: FixtureSizes, weights: FixtureWeights): Uint8Array {
  const graph = new OnnxGraph();
  const t = graph.input('t', 'float32', [1]);
  const angle = graph.op('Add', [
    graph.op('Mul', [t, constant(graph, weights.timestepFrequency)]),
    constant(graph, weights.timestepPhase),
  ]);
  const modulation = graph.op('Reshape', [graph.op('Sin', [angle]), graph.ints(sizes.dim)]);
  graph.output(modulation, 'modulation', 'float32', [sizes.dim]);
  return graph.write();
}

export function scoreGraph(sizes: FixtureSizes, weights: FixtureWeights): Uint8Array {
  const { latentFrames, channels, latentHeight, latentWidth, layers, dim, tokensPerFrame, tokenDim } = sizes;
  const slots = latentHeight * latentWidth;
  const tokens = latentFrames * slots;
  const grid = [latentFrames, channels, latentHeight, latentWidth];
  const graph = new OnnxGraph();
  const x = graph.input('x', 'float32', grid);
  const modulation = graph.input('modulation', 'float32', [dim]);
  const audio = graph.input('audio_tokens', 'float32', [latentFrames, tokensPerFrame, tokenDim]);
  const contexts = ['k_context', 'v_context'].map((name) => graph.input(name, 'float32', [layers, 'M', dim]));
  const [kContext, vContext] = contexts as [string, string];

  const cells = graph.op('Reshape', [graph.op('Transpose', [x], { perm: [0, 2, 3, 1] }), graph.ints(tokens, channels)]);
  const embedded = graph.op('MatMul', [cells, constant(graph, weights.embed)]);
  const one = graph.floats([1], [1]);
  const modulated = graph.op('Mul', [embedded, graph.op('Add', [modulation, one])]);
  const heard = graph.op('MatMul', [
    graph.op('ReduceMean', [audio], { axes: [1], keepdims: 1 }),
    constant(graph, weights.embedAudio),
  ]);
  const byFrame = graph.op('Reshape', [modulated, graph.ints(latentFrames, slots, dim)]);
  let hidden = graph.op('Reshape', [graph.op('Add', [byFrame, heard]), graph.ints(tokens, dim)]);

  const contextTokens = graph.op('Gather', [graph.op('Shape', [kContext]), graph.ints(1)]);
  const rotary = rotaryConstants(graph, sizes, contextTokens, tokens);
  const [keys, values]: [string[], string[]] = [[], []];
  for (const [layer, layerWeights] of weights.layers.entries()) {
    const block = attention(graph, sizes, layerWeights, { hidden, layer, kContext, vContext, tokens, ...rotary });
    hidden = block.hidden;
    keys.push(block.key);
    values.push(block.value);
  }
  const flat = graph.op('MatMul', [hidden, constant(graph, weights.velocity)]);
  const placed = graph.op('Reshape', [flat, graph.ints(latentFrames, latentHeight, latentWidth, channels)]);
  graph.output(graph.op('Transpose', [placed], { perm: [0, 3, 1, 2] }), 'velocity', 'float32', grid);
  graph.output(graph.op('Concat', keys, { axis: 0 }), 'k_chunk', 'float32', [layers, tokens, dim]);
  graph.output(graph.op('Concat', values, { axis: 0 }), 'v_chunk', 'float32', [layers, tokens, dim]);
  return graph.write();
}

interface Rotary {
  /** [context + chunk tokens, 1, head dim / 2] */
  readonly cosAll: string;
  readonly sinAll: string;
  /** The chunk's own rows. */
  readonly cosOwn: string;
  readonly sinOwn: string;
}

function rotaryConstants(graph: OnnxGraph, sizes: FixtureSizes, contextTokens: string, tokens: number): Rotary {
  const table = rotaryTable(sizes);
  const slots = sizes.latentHeight * sizes.latentWidth;
  const half = sizes.dim / sizes.heads / 2;
  const perToken = (rows: readonly number[][]): string =>
    graph.floats(rows.flatMap((row) => Array.from({ length: slots }, () => row)).flat(), [
      rows.length * slots,
      1,
      half,
    ]);
  const [cos, sin] = [perToken(table.cos), perToken(table.sin)];
  const end = graph.op('Add', [contextTokens, graph.ints(tokens)]);
  const rows = (values: string, from: string): string => graph.op('Slice', [values, from, end, graph.ints(0)]);
  const zero = graph.ints(0);
  return {
    cosAll: rows(cos, zero),
    sinAll: rows(sin, zero),
    cosOwn: rows(cos, contextTokens),
    sinOwn: rows(sin, contextTokens),
  };
}

interface BlockInput extends Rotary {
  readonly hidden: string;
  readonly layer: number;
  readonly kContext: string;
  readonly vContext: string;
  readonly tokens: number;
}

function attention(graph: OnnxGraph, sizes: FixtureSizes, weights: LayerWeights, input: BlockInput) {
  const { dim, heads } = sizes;
  const headDim = dim / heads;
  const project = (matrix: Matrix): string => graph.op('MatMul', [input.hidden, constant(graph, matrix)]);
  const withContext = (context: string, own: string): string => {
    const layer = graph.op('Gather', [context, graph.ints(input.layer)], { axis: 0 });
    const rows = graph.op('Reshape', [layer, graph.ints(-1, dim)], { allowzero: 0 });
    return graph.op('Concat', [rows, own], { axis: 0 });
  };
  const split = (rows: string): string => graph.op('Reshape', [rows, graph.ints(-1, heads, headDim)]);
  const rotate = (rows: string, cos: string, sin: string): string => {
    const half = headDim / 2;
    const part = (from: number): string =>
      graph.op('Slice', [rows, graph.ints(from), graph.ints(from + half), graph.ints(2)]);
    const [a, b] = [part(0), part(half)];
    const times = (u: string, v: string): string => graph.op('Mul', [u, v]);
    const first = graph.op('Sub', [times(a, cos), times(b, sin)]);
    const second = graph.op('Add', [times(b, cos), times(a, sin)]);
    return graph.op('Concat', [first, second], { axis: 2 });
  };
  const [query, key, value] = [project(weights.query), project(weights.key), project(weights.value)];
  const q = graph.op('Transpose', [rotate(split(query), input.cosOwn, input.sinOwn)], { perm: [1, 0, 2] });
  const allKeys = rotate(split(withContext(input.kContext, key)), input.cosAll, input.sinAll);
  const k = graph.op('Transpose', [allKeys], { perm: [1, 2, 0] });
  const v = graph.op('Transpose', [split(withContext(input.vContext, value))], { perm: [1, 0, 2] });
  const scores = graph.op('Mul', [graph.op('MatMul', [q, k]), graph.floats([1 / Math.sqrt(headDim)], [1])]);
  const mixed = graph.op('MatMul', [graph.op('Softmax', [scores], { axis: -1 }), v]);
  const joined = graph.op('Reshape', [
    graph.op('Transpose', [mixed], { perm: [1, 0, 2] }),
    graph.ints(input.tokens, dim),
  ]);
  const attended = graph.op('Add', [input.hidden, graph.op('MatMul', [joined, constant(graph, weights.out)])]);
  const inner = graph.op('Tanh', [graph.op('MatMul', [attended, constant(graph, weights.up)])]);
  const hidden = graph.op('Add', [attended, graph.op('MatMul', [inner, constant(graph, weights.down)])]);
  const asLayer = (rows: string): string => graph.op('Reshape', [rows, graph.ints(1, input.tokens, dim)]);
  return { hidden, key: asLayer(key), value: asLayer(value) };
}

/** c_0 from mean colour and landmarks; the decoder gets the picture's luma with grey chroma. */
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

/** The picture, brighter or darker with the latents; frames between two latent frames are interpolated. */
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
