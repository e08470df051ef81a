import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OnnxGraph } from './onnx-writer.js';
import { createOrtExecutor } from './ort-executor.js';

function doubling(): Uint8Array {
  const graph = new OnnxGraph();
  const x = graph.input('x', 'float32', ['n', 2]);
  graph.output(graph.op('Add', [x, x]), 'twice', 'float32', ['n', 2]);
  graph.output(graph.op('Mul', [x, x]), 'square', 'float32', ['n', 2]);
  return graph.write();
}

test('data goes in, runs, comes out; handles stay until they are released', async () => {
  await using executor = createOrtExecutor({ threads: 1 });
  const segment = await executor.load(doubling(), 'doubling');
  assert.deepEqual(segment.inputs, [{ name: 'x', type: 'float32', dims: ['n', 2] }]);
  assert.deepEqual(
    segment.outputs.map((output) => output.name),
    ['twice', 'square'],
  );
  const x = executor.upload(Float32Array.of(1, 2, 3, 4), 'float32', [2, 2]);
  const { twice } = await executor.run(segment, { inputs: { x }, outputs: ['twice'] });
  assert.ok(twice);
  assert.deepEqual([twice.dims, twice.bytes], [[2, 2], 16]);
  const again = await executor.run(segment, { inputs: { x: twice }, outputs: ['twice', 'square'] });
  assert.deepEqual(await executor.download(again['twice'] as typeof x), Float32Array.of(4, 8, 12, 16));
  assert.deepEqual(await executor.download(again['square'] as typeof x), Float32Array.of(4, 16, 36, 64));
  assert.deepEqual(await executor.download(x), Float32Array.of(1, 2, 3, 4), 'a download leaves the tensor where it is');
  assert.deepEqual(await executor.stats(), { handles: 4, bytes: 64, runs: { doubling: 2 } });
  executor.release(x, twice, ...Object.values(again));
  assert.equal((await executor.stats()).handles, 0);
});

test('values that are taken are gone from the executor', async () => {
  await using executor = createOrtExecutor({ threads: 1 });
  const segment = await executor.load(doubling(), 'doubling');
  const x = executor.upload(Float32Array.of(1, 2, 3, 4), 'float32', [2, 2]);
  const { twice, square } = await executor.run(segment, { inputs: { x }, outputs: ['twice', 'square'] });
  assert.ok(twice && square);
  assert.deepEqual(await executor.take(twice), Float32Array.of(2, 4, 6, 8));
  assert.deepEqual(await executor.take(x), Float32Array.of(1, 2, 3, 4));
  await assert.rejects(executor.take(twice), /was released/);
  assert.equal((await executor.stats()).handles, 1);
  assert.deepEqual(await executor.download(square), Float32Array.of(1, 4, 9, 16), 'others stay as they are');
});

test('tensors without values are allowed', async () => {
  await using executor = createOrtExecutor({ threads: 1 });
  const segment = await executor.load(doubling(), 'doubling');
  const x = executor.upload(new Float32Array(0), 'float32', [0, 2]);
  const { twice } = await executor.run(segment, { inputs: { x }, outputs: ['twice'] });
  assert.deepEqual([twice?.dims, twice?.bytes], [[0, 2], 0]);
});

test('events mark what was issued before them', async () => {
  await using executor = createOrtExecutor({ threads: 1 });
  const segment = await executor.load(doubling(), 'doubling');
  const x = executor.upload(new Float32Array(2), 'float32', [1, 2]);
  let done = false;
  const running = executor.run(segment, { inputs: { x }, outputs: ['twice'] }).then(() => {
    done = true;
  });
  await executor.await(executor.record());
  assert.ok(done);
  await running;
});

test('mistakes are told apart: wrong sizes, released tensors, wrong inputs, files that are no graph', async () => {
  await using executor = createOrtExecutor({ threads: 1 });
  assert.throws(() => executor.upload(new Float32Array(3), 'float32', [2, 2]), /\[2,2\] has 4 values, not 3/);
  await assert.rejects(executor.load('/nowhere/model.onnx', 'lost'), { reason: 'MODEL_INVALID' });
  await assert.rejects(executor.load(new Uint8Array(10), 'garbage'), { reason: 'MODEL_INVALID' });
  const segment = await executor.load(doubling(), 'doubling');
  const wide = executor.upload(new Float32Array(3), 'float32', [1, 3]);
  await assert.rejects(executor.run(segment, { inputs: { x: wide }, outputs: ['twice'] }), /doubling failed/);
  executor.release(wide);
  await assert.rejects(executor.run(segment, { inputs: { x: wide }, outputs: ['twice'] }), /was released/);
  await assert.rejects(executor.download(wide), /was released/);
  const x = executor.upload(new Float32Array(2), 'float32', [1, 2]);
  assert.ok(await executor.run(segment, { inputs: { x }, outputs: ['twice'] }), 'it works on after mistakes');
  assert.throws(() => createOrtExecutor({ threads: 0 }), { reason: 'CONFIG_INVALID' });
});

test('a provider that is not there is an error, not another provider', async () => {
  await using executor = createOrtExecutor({ threads: 1, provider: { cuda: 0 } });
  await assert.rejects(executor.load(doubling(), 'doubling'), /on CUDA/);
});

test('after closing, calls are refused and releases are harmless', async () => {
  const executor = createOrtExecutor({ threads: 1 });
  const x = executor.upload(new Float32Array(2), 'float32', [1, 2]);
  await executor[Symbol.asyncDispose]();
  await executor[Symbol.asyncDispose]();
  executor.release(x);
  await assert.rejects(executor.stats(), { reason: 'CANCELLED' });
});

test('a thread that dies fails what runs and what comes after, and says so', async () => {
  const executor = createOrtExecutor({ threads: 1 });
  const segment = await executor.load(doubling(), 'doubling');
  const x = executor.upload(new Float32Array(2), 'float32', [1, 2]);
  const failed = assert.rejects(executor.failed, { reason: 'INTERNAL', message: /inference thread ended/ });
  // Data that is not of its type: the thread cannot answer an upload, so it ends.
  executor.upload(new Float32Array(2), 'int64', [2]);
  await assert.rejects(executor.run(segment, { inputs: { x }, outputs: ['twice'] }), /inference thread ended/);
  await failed;
  await assert.rejects(executor.stats(), { reason: 'INTERNAL' });
  executor.release(x);
  await executor[Symbol.asyncDispose]();
});
