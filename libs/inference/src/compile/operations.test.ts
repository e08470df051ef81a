import assert from 'node:assert/strict';
import { test } from 'node:test';
import { liveTalkSizes } from '../checkpoint/livetalk-manifest.js';
import { LIVETALK_SIZES } from '../checkpoint/livetalk-networks.js';
import { OnnxGraph, ORT_DOMAIN } from '../executor/onnx-writer.js';
import { FIXTURE_VIDEO_SIZES } from '../testing/fixture-video.js';
import { VIDEO_FORMULAS } from '../testing/video-formulas.js';
import { videoParts, videoShapes } from '../video/video-graphs.js';
import { graphCost } from './operations.js';

type Build = (graph: OnnxGraph) => { readonly value: string; readonly dims: readonly (number | string)[] };

/** Counts a graph with the inputs x, y and z. */
function count(inputs: Readonly<Record<string, readonly (number | string)[]>>, build: Build, free = {}) {
  const graph = new OnnxGraph(20);
  const infos = Object.entries(inputs).map(([name, dims]) => ({ name, type: 'float32' as const, dims: [...dims] }));
  for (const { name, type, dims } of infos) graph.input(name, type, dims);
  const { value, dims } = build(graph);
  graph.output(value, 'out', 'float32', dims);
  const outputs = [{ name: 'out', type: 'float32' as const, dims: [...dims] }];
  return graphCost({ name: 'graph', onnx: graph.write(), inputs: infos, outputs, weightsFolder: undefined }, free);
}

test('a matrix product of [5, 7] and [7, 3] has 2 x 5 x 7 x 3 operations', () => {
  const made = count({ x: [5, 7], y: [7, 3] }, (graph) => ({ value: graph.op('MatMul', ['x', 'y']), dims: [5, 3] }));
  assert.equal(made.operations, 2 * 5 * 7 * 3);
  assert.deepEqual([made.inputs, made.outputs], [5 * 7 + 7 * 3, 5 * 3]);
  const turned = count({ x: [5, 7], y: [3, 7] }, (graph) => ({
    value: graph.op('Gemm', ['x', 'y'], { transB: 1 }),
    dims: [5, 3],
  }));
  assert.deepEqual(turned.byOperator, { Gemm: 2 * 5 * 7 * 3 });
  const stacked = count(
    { x: [2, 'R', 7], y: [7, 3] },
    (graph) => ({
      value: graph.op('MatMul', ['x', 'y']),
      dims: [2, 'R', 3],
    }),
    { R: 5 },
  );
  assert.equal(stacked.operations, 2 * (2 * 5 * 7 * 3));
});

test('a convolution counts output values times the input channels of its group times its kernel', () => {
  const plain = count({ x: [1, 4, 10, 8], y: [6, 4, 3, 3] }, (graph) => ({
    value: graph.op('Conv', ['x', 'y'], { pads: [1, 1, 1, 1] }),
    dims: [1, 6, 10, 8],
  }));
  assert.equal(plain.operations, 2 * (6 * 10 * 8) * (4 * 3 * 3));
  // Without padding 10 rows give floor((10 - 3) / 2) + 1 = 4, and two groups halve the channels that a value sees.
  const sparse = count({ x: [1, 4, 10, 8], y: [6, 2, 3, 3] }, (graph) => ({
    value: graph.op('Conv', ['x', 'y'], { strides: [2, 2], group: 2 }),
    dims: [1, 6, 4, 3],
  }));
  assert.deepEqual([sparse.operations, sparse.outputs], [2 * (6 * 4 * 3) * (2 * 3 * 3), 6 * 4 * 3]);
  const inTime = count({ x: [1, 4, 5, 10, 8], y: [6, 4, 3, 1, 1] }, (graph) => ({
    value: graph.op('Conv', ['x', 'y']),
    dims: [1, 6, 3, 10, 8],
  }));
  assert.equal(inTime.operations, 2 * (6 * 3 * 10 * 8) * (4 * 3));
});

test('attention of 5 queries over 9 keys of width 8 has 2 x 5 x 9 x 8 operations, twice', () => {
  const made = count(
    { x: [1, 5, 8], y: [1, 'S', 8], z: [1, 'S', 8] },
    (graph) => ({
      value: graph.op('MultiHeadAttention', ['x', 'y', 'z'], { num_heads: 2 }, ORT_DOMAIN),
      dims: [1, 5, 8],
    }),
    { S: 9 },
  );
  assert.equal(made.operations, 2 * (2 * 5 * 9 * 8));
});

test('an open dimension without a size and an unknown operator are refused', () => {
  const open: Build = (graph) => ({ value: graph.op('Relu', ['x']), dims: ['R', 2] });
  assert.throws(() => count({ x: ['R', 2] }, open), /graph leaves R open; give its size/);
  const other: Build = (graph) => ({ value: graph.op('Erf', ['x']), dims: [2] });
  assert.throws(() => count({ x: [2] }, other), /there is no rule for the shapes of Erf; add one/);
});

for (const [name, sizes] of Object.entries({ small: FIXTURE_VIDEO_SIZES, full: LIVETALK_SIZES }))
  for (const decoder of ['codec', 'taehv'] as const)
    test(`LiveTalk of ${name} widths with the decoder ${decoder}: what is counted in the graphs equals the closed formulas`, () => {
      const described = liveTalkSizes(decoder, sizes);
      const parts = videoParts(described, videoShapes(described));
      const wanted = decoder === 'codec' ? ['decoder, first latent', 'decoder'] : ['small decoder'];
      assert.deepEqual(
        parts.map((part) => part.name),
        ['picture encoder', 'prompt', 'audio encoder', 'sound vectors', 'score step', 'clean pass', ...wanted],
      );
      for (const { name: part, segment, free } of parts) {
        const formula = VIDEO_FORMULAS[part];
        assert.ok(formula);
        const counted = graphCost(segment, free).operations;
        // Whole numbers below 2^53, so nothing is rounded.
        assert.equal(counted, formula(described), part);
      }
    });
