import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Executor } from '../executor/executor.js';
import { OnnxGraph } from '../executor/onnx-writer.js';
import { createOrtExecutor } from '../executor/ort-executor.js';
import { type Composition, composeFrames } from './compose-frames.js';

const SIZE = 64;
const FIELD = 16;
const FRAMES = 3;
let executor: Executor;
before(() => {
  executor = createOrtExecutor({ threads: 1 });
});
after(async () => executor[Symbol.asyncDispose]());

/** Deterministic numbers in -1..1. */
function noise(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

const filled = (count: number, value: (i: number) => number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => value(i));

function example(reach: number, seed = 1, size = SIZE): Composition {
  const random = noise(seed);
  const smooth = (i: number): number => 128 + 90 * Math.sin(i / 9) + 30 * random();
  return {
    size,
    frames: FRAMES,
    luma: filled(size * size, smooth),
    chroma: filled((size * size) / 2, smooth),
    edits: [
      { values: filled(FRAMES * 6 * 5 * 7, () => 80 * random()), height: 5, width: 7 },
      { values: filled(FRAMES * 6 * 4 * 4, () => 200 * random()), height: 4, width: 4 },
    ],
    corners: Float32Array.of(3, 11, 28, 29),
    flow: filled(FRAMES * FIELD * FIELD * 2, () => reach * random()),
    fieldSize: FIELD,
  };
}

/** The same frames, computed by adding the edits pixel by pixel and running ONNX's GridSample. */
async function byOperator(composition: Composition): Promise<Uint8Array> {
  const { frames, edits, corners, flow, fieldSize, size } = composition;
  const frameBytes = (size * size * 3) / 2;
  const result = new Uint8Array(frames * frameBytes);
  for (const [from, side, planes, levels, phases] of [
    [0, size, 1, composition.luma, 2],
    [size * size, size / 2, 2, composition.chroma, 1],
  ] as const) {
    const editedPlanes = filled(frames * planes * side * side, (i) => levels[i % (planes * side * side)] as number);
    for (const [k, { values, height, width }] of edits.entries())
      for (let i = 0; i < values.length; i++) {
        const [frame, channel] = [Math.floor(i / (6 * height * width)), Math.floor(i / (height * width)) % 6];
        if (channel < 4 === (phases === 1)) continue;
        const y =
          phases * ((corners[2 * k + 1] as number) + (Math.floor(i / width) % height)) +
          (phases === 2 ? channel >> 1 : 0);
        const x = phases * ((corners[2 * k] as number) + (i % width)) + (phases === 2 ? channel & 1 : 0);
        const plane = phases === 2 ? 0 : channel - 4;
        if (x >= side || y >= side) continue;
        const at = ((frame * planes + plane) * side + y) * side + x;
        editedPlanes[at] = (editedPlanes[at] as number) + (values[i] as number);
      }
    const warped = await gridSample(editedPlanes, [frames, planes, side, side], flow, fieldSize, size);
    for (let frame = 0; frame < frames; frame++)
      for (let i = 0; i < planes * side * side; i++) {
        const value = warped[frame * planes * side * side + i] as number;
        result[frame * frameBytes + from + i] = Math.floor(Math.min(255, Math.max(0, value)) + 0.5);
      }
  }
  return result;
}

async function gridSample(
  editedPlanes: Float32Array,
  dims: readonly [number, number, number, number],
  flow: Float32Array,
  fieldSize: number,
  size: number,
): Promise<Float32Array> {
  const [frames, , side] = dims;
  const graph = new OnnxGraph();
  const x = graph.input('x', 'float32', dims);
  const fields = graph.input('flow', 'float32', [frames, fieldSize, fieldSize, 2]);
  const planes = graph.op('Transpose', [fields], { perm: [0, 3, 1, 2] });
  const large = graph.op('Resize', [planes, '', '', graph.ints(frames, 2, side, side)], {
    mode: 'linear',
    coordinate_transformation_mode: 'half_pixel',
  });
  const place = (i: number): number => (2 * (i + 0.5)) / side - 1;
  const centres = graph.floats(
    filled(side * side * 2, (i) => place(i % 2 === 0 ? (i >> 1) % side : Math.floor(i / 2 / side))),
    [1, side, side, 2],
  );
  const offsets = graph.op('Mul', [
    graph.op('Transpose', [large], { perm: [0, 2, 3, 1] }),
    graph.floats([2 / size], [1]),
  ]);
  const grid = graph.op('Add', [offsets, centres]);
  graph.output(graph.op('GridSample', [x, grid], { padding_mode: 'border', align_corners: 0 }), 'y', 'float32', dims);
  const segment = await executor.load(graph.write(), 'grid');
  const inputs = {
    x: executor.upload(editedPlanes, 'float32', dims),
    flow: executor.upload(flow, 'float32', [frames, fieldSize, fieldSize, 2]),
  };
  const { y } = await executor.run(segment, { inputs, outputs: ['y'] });
  return (await executor.download(y as (typeof inputs)['x'])) as Float32Array;
}

function largestDifference(first: Uint8Array, second: Uint8Array): number {
  assert.equal(first.length, second.length);
  return first.reduce((largest, value, i) => Math.max(largest, Math.abs(value - (second[i] as number))), 0);
}

for (const [what, reach] of [
  ['no motion', 0],
  ['the motion of a head', 6],
  ['motion far beyond the border', 300],
] as const)
  test(`frames differ from GridSample's by at most one level: ${what}`, async () => {
    const composition = example(reach, 7 + reach);
    const [own, operator] = [composeFrames(composition), await byOperator(composition)];
    assert.ok(new Set(operator).size > 50, 'the frames are not uniform');
    assert.ok(largestDifference(own, operator) <= 1, `differs by ${largestDifference(own, operator)} levels`);
  });

test('sizes that are not multiples of four, in changing order', async () => {
  for (const size of [70, 66, SIZE]) {
    const composition = example(6, size, size);
    assert.ok(largestDifference(composeFrames(composition), await byOperator(composition)) <= 1, `size ${size}`);
  }
});

test('NaN in the flow of one frame does not affect other frames', () => {
  const composition = example(5);
  const flow = composition.flow.slice().fill(Number.NaN, 0, FIELD * FIELD * 2);
  const [expected, harmed] = [composeFrames(composition), composeFrames({ ...composition, flow })];
  const frameBytes = (SIZE * SIZE * 3) / 2;
  assert.deepEqual(harmed.subarray(frameBytes), expected.subarray(frameBytes));
});

test('the kernel in the executor gives the same bytes as the function', async () => {
  const composition = example(5);
  const segment = await executor.load({ kernel: 'compose-frames' }, 'compose');
  const up = (data: Float32Array, ...dims: number[]) => executor.upload(data, 'float32', dims);
  const inputs = {
    luma: up(composition.luma, 1, 1, SIZE, SIZE),
    chroma: up(composition.chroma, 1, 2, SIZE / 2, SIZE / 2),
    corners: up(composition.corners, 2, 2),
    flow: up(composition.flow, FRAMES, FIELD, FIELD, 2),
    edit_first: up(composition.edits[0]?.values ?? new Float32Array(0), FRAMES, 6, 5, 7),
    edit_second: up(composition.edits[1]?.values ?? new Float32Array(0), FRAMES, 6, 4, 4),
  };
  const { frames } = await executor.run(segment, { inputs, outputs: ['frames'] });
  assert.deepEqual(frames?.dims, [FRAMES, (SIZE * SIZE * 3) / 2]);
  assert.deepEqual(await executor.download(frames as (typeof inputs)['luma']), composeFrames(composition));
  const { flow, ...rest } = inputs;
  await assert.rejects(executor.run(segment, { inputs: rest, outputs: ['frames'] }), /needs the float32 input flow/);
  const short = { ...rest, flow: up(new Float32Array(8), 1, 2, 2, 2) };
  await assert.rejects(executor.run(segment, { inputs: short, outputs: ['frames'] }), /an edit has .* values, not/);
});

test('parts of wrong sizes are errors; edits outside the picture are skipped', () => {
  const composition = example(2);
  assert.throws(() => composeFrames({ ...composition, flow: new Float32Array(4) }), /flow has 4 values/);
  assert.throws(() => composeFrames({ ...composition, size: 63 }), /even/);
  assert.throws(() => composeFrames({ ...composition, fieldSize: 0, flow: new Float32Array(0) }), /at least one/);
  assert.throws(() => composeFrames({ ...composition, corners: new Float32Array(2) }), /corners has 2 values, not 4/);
  const outside = composeFrames({ ...composition, corners: Float32Array.of(-90, 0, 400, 0) });
  assert.deepEqual(outside, composeFrames({ ...composition, edits: [], corners: new Float32Array(0) }));
});
