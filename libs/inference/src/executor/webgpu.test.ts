/** The WebGPU provider, on a Vulkan driver that runs on the processor. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { compileWhole, loadCompiled, openWeights } from '../compile/index.js';
import { type GraphModel, loadGraphModel } from '../model/model.js';
import { MatchedScoreEngine } from '../score/matched-engine.js';
import { difference, fixtureCases, runOnce } from '../testing/compile-cases.js';
import { createFixtureModel, useSoftwareGpu } from '../testing/index.js';
import { rollOut } from '../testing/rollout.js';
import type { Timeline } from '../timeline.js';
import type { Executor, Segment, TensorHandle } from './executor.js';
import { OnnxGraph } from './onnx-writer.js';
import { createOrtExecutor } from './ort-executor.js';

/** Largest difference of a latent, whose values go up to 3: providers add up sums in another order. */
const LATENT_TOLERANCE = 2e-4;
/** Relative error of a graph's output. */
const GRAPH_TOLERANCE = 1e-4;

/** What the device did, `lane: name`. */
const shown = new Set<string>();

let gpu: Executor;
let cpu: Executor;
let nano: GraphModel;
before(async () => {
  useSoftwareGpu();
  const span: Timeline['span'] = (lane, name) => shown.add(`${lane}: ${name}`);
  const timeline = { enabled: true, span, mark: () => undefined };
  gpu = createOrtExecutor({ threads: 1, provider: 'webgpu', timeline });
  cpu = createOrtExecutor({ threads: 1 });
  nano = await loadGraphModel(fileURLToPath(new URL('../../../../models/nano', import.meta.url)));
});
after(async () => {
  for (const executor of [gpu, cpu]) await executor?.[Symbol.asyncDispose]();
});

function graph(): Uint8Array {
  const made = new OnnxGraph();
  const x = made.input('x', 'float32', ['n', 4]);
  made.output(
    made.op('MatMul', [
      x,
      made.floats(
        Float32Array.from({ length: 16 }, (_, i) => i % 5),
        [4, 4],
      ),
    ]),
    'y',
    'float32',
    ['n', 4],
  );
  made.output(made.op('Round', [x]), 'rounded', 'float32', ['n', 4]);
  return made.write();
}

test('outputs stay on the device between runs, and operators that the provider lacks are named', async () => {
  assert.equal(gpu.provider, 'webgpu');
  const segment = await gpu.load(graph(), 'small');
  assert.deepEqual(segment.inputs, [{ name: 'x', type: 'float32', dims: ['n', 4] }]);
  assert.deepEqual(segment.onProcessor, { Round: 1 });
  const x = gpu.upload(Float32Array.of(1, 2, 3, 4.5), 'float32', [1, 4]);
  const first = await gpu.run(segment, { inputs: { x }, outputs: ['y', 'rounded'] });
  const second = await gpu.run(segment, { inputs: { x: first['y'] as typeof x }, outputs: ['y'] });
  assert.deepEqual(await gpu.download(first['rounded'] as typeof x), Float32Array.of(1, 2, 3, 4));
  const expected = [1, 2, 3, 4.5].reduce(product(16), []);
  assert.deepEqual([...(await gpu.download(first['y'] as typeof x))], expected);
  assert.deepEqual([...(await gpu.take(second['y'] as typeof x))], expected.reduce(product(16), []));
  assert.deepEqual(await gpu.download(x), Float32Array.of(1, 2, 3, 4.5), 'an upload can be read again');
  assert.equal((await gpu.stats()).handles, 3);
  gpu.release(x, ...Object.values(first));
  assert.deepEqual((await gpu.stats()).handles, 0);
});

test('runs are in one lane of the stream, copies to the device and back in another', async () => {
  const doubling = new OnnxGraph();
  const x = doubling.input('x', 'float32', [4]);
  doubling.output(doubling.op('Add', [x, x]), 'twice', 'float32', [4]);
  const segment = await gpu.load(doubling.write(), 'doubling');
  shown.clear();
  const given = gpu.upload(Float32Array.of(1, 2, 3, 4), 'float32', [4]);
  const { twice } = await gpu.run(segment, { inputs: { x: given }, outputs: ['twice'] });
  assert.deepEqual(await gpu.take(twice as TensorHandle), Float32Array.of(2, 4, 6, 8));
  gpu.release(given);
  await gpu.stats();
  const stream = 'webgpu stream 0';
  const expected = [`${stream} compute: doubling`, `${stream} copies: to device`, `${stream} copies: to processor`];
  assert.deepEqual([...shown].sort(), expected);
});

/** Adds one row's share of the product with the graph's matrix. */
function product(size: number): (sum: number[], value: number, row: number) => number[] {
  const width = Math.sqrt(size);
  return (sum, value, row) =>
    Array.from({ length: width }, (_, column) => (sum[column] ?? 0) + value * ((row * width + column) % 5));
}

test('wrong inputs and released tensors are errors, after which the executor still works', async () => {
  const segment = await gpu.load(graph(), 'small');
  const wide = gpu.upload(new Float32Array(3), 'float32', [1, 3]);
  await assert.rejects(gpu.run(segment, { inputs: { x: wide }, outputs: ['y'] }), /small failed/);
  gpu.release(wide);
  await assert.rejects(gpu.download(wide), /was released/);
  await assert.rejects(gpu.load(new Uint8Array(10), 'garbage'), { reason: 'MODEL_INVALID' });
  const x = gpu.upload(new Float32Array(4), 'float32', [1, 4]);
  assert.deepEqual(
    await gpu.take((await gpu.run(segment, { inputs: { x }, outputs: ['y'] }))['y'] as typeof x),
    new Float32Array(4),
  );
  gpu.release(x);
});

test('a session with rollbacks gives the latents of the processor, and frees its tensors', async () => {
  await using fixture = await createFixtureModel();
  const model = await loadGraphModel(fixture.folder);
  const held = (await gpu.stats()).handles;
  const [expected, made] = await Promise.all(
    [cpu, gpu].map(async (executor) => {
      await using engine = await MatchedScoreEngine.load(model, executor);
      return await rollOut(engine, { seed: 5, depth: 1 });
    }),
  );
  assertClose(made, expected, LATENT_TOLERANCE);
  assert.equal((await gpu.stats()).handles, held);
});

/** Values between -1 and 1 that look like noise, the same in every run. */
function noise(dims: readonly (number | string)[]): Float32Array {
  const count = dims.reduce<number>((product, dim) => product * (typeof dim === 'number' ? dim : 1), 1);
  return Float32Array.from({ length: count }, (_, i) => Math.sin(i * 12.9898) * Math.cos(i * 0.37));
}

/** Runs a graph once on noise. @returns the values of all outputs by name */
async function runOnNoise(executor: Executor, segment: Segment): Promise<Map<string, Float32Array>> {
  const inputs: Record<string, TensorHandle> = {};
  for (const { name, dims } of segment.inputs) {
    const sizes = dims.map((dim) => (typeof dim === 'number' ? dim : 2 * nano.geometry.tokens));
    inputs[name] = executor.upload(noise(sizes), 'float32', sizes);
  }
  const outputs = await executor.run(segment, { inputs, outputs: segment.outputs.map((output) => output.name) });
  const values = new Map<string, Float32Array>();
  for (const [name, handle] of Object.entries(outputs)) values.set(name, (await executor.take(handle)) as Float32Array);
  executor.release(...Object.values(inputs));
  return values;
}

test("nano's score network and decoder give what they give on the processor", async () => {
  const { dit, weights } = nano.manifest.score;
  const opened = await openWeights(nano.folder, weights);
  const score = (executor: Executor): Promise<Segment> =>
    loadCompiled(executor, compileWhole(dit, opened, nano.ditGeometry, { condition: 'inside' }));
  const decoder = (executor: Executor): Promise<Segment> => executor.load(nano.path('decoder'), 'decoder');
  // Only arithmetic on shapes remains on the processor.
  const cases = [
    { load: score, onProcessor: { Add: dit.layers, Slice: dit.layers } },
    { load: decoder, onProcessor: {} },
  ];
  for (const { load, onProcessor } of cases) {
    const [onCpu, onGpu] = [await load(cpu), await load(gpu)];
    assert.deepEqual(onGpu.onProcessor, onProcessor, onGpu.name);
    const [expected, made] = [await runOnNoise(cpu, onCpu), await runOnNoise(gpu, onGpu)];
    for (const [name, values] of expected) {
      const distance = relativeDistance(made.get(name), values);
      assert.ok(distance < GRAPH_TOLERANCE, `${onGpu.name}: ${name} differs by ${distance}`);
    }
  }
});

test('a Wan-shaped network gives what PyTorch gives', async () => {
  const fixtures = (await fixtureCases()).filter(({ name }) => name.startsWith('wan'));
  assert.equal(fixtures.length, 2);
  for (const { name, dit, geometry, weights, cases } of fixtures) {
    const whole = compileWhole(dit, weights, geometry, { condition: 'inside' });
    for (const [which, arrays] of Object.entries(cases)) {
      const made = await runOnce(gpu, whole, arrays);
      for (const output of ['velocity', 'k_chunk', 'v_chunk']) {
        const distance = difference(made[output], arrays[output]);
        assert.ok(distance < GRAPH_TOLERANCE, `${name}, ${which}: ${output} differs by ${distance}`);
      }
    }
  }
});

/** A convolution of 3 x 3 on noise. */
function convolution(inputs: number, outputs: number): Uint8Array {
  const made = new OnnxGraph();
  const x = made.input('x', 'float32', [1, inputs, 9, 8]);
  const weight = made.floats(noise([outputs, inputs, 3, 3]), [outputs, inputs, 3, 3]);
  made.output(made.op('Conv', [x, weight], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }), 'y', 'float32', [
    1,
    outputs,
    9,
    8,
  ]);
  return made.write();
}

test('convolutions of all widths are right; those that the provider computes wrongly run on the processor', async () => {
  for (const inputs of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 33, 36])
    for (const outputs of [3, 6, 8]) {
      const name = `convolution ${inputs} ${outputs}`;
      const [onCpu, onGpu] = [
        await cpu.load(convolution(inputs, outputs), name),
        await gpu.load(convolution(inputs, outputs), name),
      ];
      const [expected, made] = [await runOnNoise(cpu, onCpu), await runOnNoise(gpu, onGpu)];
      const distance = relativeDistance(made.get('y'), expected.get('y') as Float32Array);
      assert.ok(distance < GRAPH_TOLERANCE, `${name} differs by ${distance}`);
      const avoided = [6, 9, 15, 33].includes(inputs) && outputs === 8;
      assert.deepEqual(onGpu.onProcessor, avoided ? { Conv: 1 } : {}, name);
    }
});

test('operators of the reference graph that run on the processor are named', async () => {
  const reference = await gpu.load(nano.path('reference'), 'reference');
  assert.deepEqual(Object.keys(reference.onProcessor).sort(), ['Conv', 'Round']);
  assert.deepEqual(gpu.onProcessor['reference'], reference.onProcessor);
});

/** Root of the mean square of the difference, divided by that of the expected values. */
function relativeDistance(made: Float32Array | undefined, expected: Float32Array): number {
  const squares = (of: (value: number, i: number) => number): number =>
    expected.reduce((sum, value, i) => sum + of(value, i) ** 2, 0);
  return Math.sqrt(squares((value, i) => value - (made?.[i] ?? Number.NaN)) / squares((value) => value));
}

function assertClose(
  made: readonly Float32Array[] | undefined,
  expected: readonly Float32Array[] | undefined,
  tolerance: number,
): void {
  assert.equal(made?.length, expected?.length);
  for (const [i, values] of (expected ?? []).entries()) {
    const worst = values.reduce(
      (most, value, at) => Math.max(most, Math.abs(value - (made?.[i]?.[at] ?? Number.NaN))),
      0,
    );
    assert.ok(worst <= tolerance, `chunk ${i} differs by ${worst}`);
  }
}
