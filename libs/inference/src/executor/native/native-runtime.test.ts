/** The code that devices use, on the processor's memory: bindings, lifetimes, errors and leaks. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { OnnxGraph } from '../onnx-writer.js';
import { NativeRuntime } from './native-runtime.js';
import type { NativeSession } from './native-session.js';
import type { NativeTensor } from './native-tensor.js';
import { loadOrtApi } from './ort-api.js';

const WIDTH = 1024;
const RUNS = 10_000;
const WARM_UP_RUNS = 1000;
/** Rows of the tensors in the long test: 64 KB, so that a leak of one tensor in every tenth run would be 64 MB. */
const ROWS = 16;
const MAX_GROWTH_BYTES = 32 * 1024 * 1024;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

let runtime: NativeRuntime;
let doubling: NativeSession;
before(async () => {
  runtime = new NativeRuntime({ threads: 1, provider: 'cpu' });
  doubling = await runtime.load(doublingGraph(), undefined);
});
after(() => runtime.close());

function doublingGraph(): Uint8Array {
  const graph = new OnnxGraph();
  const x = graph.input('x', 'float32', ['n', WIDTH]);
  graph.output(graph.op('Add', [x, x]), 'twice', 'float32', ['n', WIDTH]);
  graph.output(graph.op('Mul', [x, x]), 'square', 'float32', ['n', WIDTH]);
  return graph.write();
}

const row = (value: number, rows = 1): NativeTensor =>
  runtime.upload(new Float32Array(rows * WIDTH).fill(value), 'float32', [rows, WIDTH]);
const first = (tensor: NativeTensor): number => Number(runtime.read(tensor)[0]);

test('the signature is read from the graph', () => {
  const { inputs, outputs, onProcessor } = doubling;
  assert.deepEqual(inputs, [{ name: 'x', type: 'float32', dims: ['n', WIDTH] }]);
  assert.deepEqual(
    outputs.map(({ name }) => name),
    ['twice', 'square'],
  );
  assert.deepEqual(Object.keys(onProcessor).sort(), ['Add', 'Mul']);
});

test('outputs come in the order in which they are asked for, and feed other runs', async () => {
  const x = row(3, 2);
  const [square, twice] = (await runtime.run(doubling, { x }, ['square', 'twice'])) as [NativeTensor, NativeTensor];
  assert.deepEqual([square.dims, square.bytes, square.type], [[2, WIDTH], 8 * WIDTH, 'float32']);
  assert.deepEqual([first(square), first(twice), first(x)], [9, 6, 3]);
  const [again] = (await runtime.run(doubling, { x: twice }, ['square'])) as [NativeTensor];
  for (const tensor of [x, twice, square]) runtime.release(tensor);
  assert.equal(first(again), 36, 'an output outlives the inputs of its run');
  runtime.release(again);
});

test('other element types and tensors without values pass', async () => {
  const graph = new OnnxGraph();
  const bytes = graph.input('bytes', 'uint8', ['n']);
  const wide = graph.input('wide', 'int64', ['n']);
  graph.output(graph.op('Identity', [bytes]), 'bytes_out', 'uint8', ['n']);
  graph.output(graph.op('Identity', [wide]), 'wide_out', 'int64', ['n']);
  const segment = await runtime.load(graph.write(), undefined);
  for (const values of [[7, 250], []]) {
    const inputs = {
      bytes: runtime.upload(Uint8Array.from(values), 'uint8', [values.length]),
      wide: runtime.upload(BigInt64Array.from(values, BigInt), 'int64', [values.length]),
    };
    const made = await runtime.run(segment, inputs, ['bytes_out', 'wide_out']);
    assert.deepEqual(
      made.map((tensor) => runtime.read(tensor)),
      [Uint8Array.from(values), BigInt64Array.from(values, BigInt)],
    );
    for (const tensor of [...made, ...Object.values(inputs)]) runtime.release(tensor);
  }
});

test('rows of reserved memory are written in place by runs, and a tensor over all rows sees them', async () => {
  const ring = runtime.reserve('float32', [3, WIDTH]);
  const slots = [0, 1, 2].map((slot) => runtime.rows(ring, slot, slot + 1));
  for (const turn of [1, 2, 3, 4]) {
    const x = row(turn);
    const slot = slots[turn % 3] as NativeTensor;
    assert.deepEqual(await runtime.run(doubling, { x }, [], { twice: slot }), []);
    runtime.release(x);
  }
  const [squares] = (await runtime.run(doubling, { x: ring }, ['square'])) as [NativeTensor];
  const values = runtime.read(squares);
  assert.deepEqual([values[0], values[WIDTH], values[2 * WIDTH]], [36, 64, 16]);
  const lastTwo = runtime.rows(ring, 1, 3);
  runtime.release(ring);
  for (const slot of slots) runtime.release(slot);
  assert.deepEqual([first(lastTwo), runtime.read(lastTwo).length], [8, 2 * WIDTH], 'rows keep the memory alive');
  runtime.release(lastTwo);
  runtime.release(squares);
  assert.throws(() => runtime.rows(row(1), 0, 2), /rows 0 to 2 of a tensor with 1/);
});

test('an output that does not fit the memory given to it is an error, and the memory stays usable', async () => {
  const ring = runtime.reserve('float32', [1, WIDTH]);
  const x = row(1, 2);
  await assert.rejects(runtime.run(doubling, { x }, [], { twice: ring }), /shape/i);
  const fits = row(5);
  await runtime.run(doubling, { x: fits }, [], { twice: ring });
  assert.equal(first(ring), 10);
  for (const tensor of [ring, x, fits]) runtime.release(tensor);
});

test('errors carry the reason of the runtime, and the runtime works on', async () => {
  await assert.rejects(runtime.load('/nowhere/model.onnx', undefined), /nowhere/);
  await assert.rejects(runtime.load(new Uint8Array(10), undefined), /protobuf/i);
  assert.throws(() => runtime.upload(new Float32Array(2), 'int64', [2]), /BigInt64Array/);
  const x = row(1);
  await assert.rejects(runtime.run(doubling, { y: x }, ['twice']), /y/);
  await assert.rejects(runtime.run(doubling, { x }, ['thrice']), /thrice/);
  const narrow = runtime.upload(new Float32Array(2), 'float32', [1, 2]);
  await assert.rejects(runtime.run(doubling, { x: narrow }, ['twice']), /dimension/i);
  const released = row(1);
  runtime.release(released);
  runtime.release(released);
  await assert.rejects(runtime.run(doubling, { x: released }, ['twice']), /was released/);
  assert.throws(() => runtime.read(released), /was released/);
  const [twice] = (await runtime.run(doubling, { x }, ['twice'])) as [NativeTensor];
  assert.equal(first(twice), 2);
  for (const tensor of [x, narrow, twice]) runtime.release(tensor);
});

test('a library that is not there or is no ONNX Runtime is an error', () => {
  assert.throws(() => loadOrtApi('/nowhere/libonnxruntime.so.1'), /nowhere/);
  assert.throws(() => loadOrtApi('libc.so.6'), /OrtGetApiBase/);
});

test(`memory does not grow over ${RUNS} runs, every tenth of which fails`, async () => {
  const wrong = runtime.upload(new Float32Array(2), 'float32', [1, 2]);
  const ring = runtime.reserve('float32', [ROWS + 2, WIDTH]);
  const turn = async (i: number): Promise<void> => {
    const x = row(i % 100, ROWS);
    const made = await runtime.run(doubling, { x }, ['twice', 'square']);
    assert.equal(first(made[0] as NativeTensor), 2 * (i % 100));
    const slot = runtime.rows(ring, i % 3, (i % 3) + ROWS);
    await runtime.run(doubling, { x }, [], { twice: slot });
    if (i % 10 === 0) await assert.rejects(runtime.run(doubling, { x: wrong }, ['twice']));
    for (const tensor of [x, slot, ...made]) runtime.release(tensor);
  };
  for (let i = 0; i < WARM_UP_RUNS; i++) await turn(i);
  const before = await restingBytes();
  for (let i = 0; i < RUNS; i++) await turn(i);
  const growth = (await restingBytes()) - before;
  for (const tensor of [wrong, ring]) runtime.release(tensor);
  assert.ok(growth < MAX_GROWTH_BYTES, `memory grew by ${growth} bytes`);
});

/** Resident memory outside JavaScript's heap, once garbage was collected. */
async function restingBytes(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { rss, heapTotal } = process.memoryUsage();
  return rss - heapTotal;
}
