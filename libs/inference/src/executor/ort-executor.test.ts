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

test('uploaded data runs through a graph and is downloaded; handles are valid until their release', async () => {
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
  assert.deepEqual(await executor.download(x), Float32Array.of(1, 2, 3, 4), 'a download keeps the tensor');
  assert.deepEqual(await executor.stats(), { handles: 4, bytes: 64, runs: { doubling: 2 } });
  executor.release(x, twice, ...Object.values(again));
  assert.equal((await executor.stats()).handles, 0);
});

test('take returns the values and releases the tensor', async () => {
  await using executor = createOrtExecutor({ threads: 1 });
  const segment = await executor.load(doubling(), 'doubling');
  const x = executor.upload(Float32Array.of(1, 2, 3, 4), 'float32', [2, 2]);
  const { twice, square } = await executor.run(segment, { inputs: { x }, outputs: ['twice', 'square'] });
  assert.ok(twice && square);
  assert.deepEqual(await executor.take(twice), Float32Array.of(2, 4, 6, 8));
  assert.deepEqual(await executor.take(x), Float32Array.of(1, 2, 3, 4));
  await assert.rejects(executor.take(twice), /was released/);
  assert.equal((await executor.stats()).handles, 1);
  assert.deepEqual(await executor.download(square), Float32Array.of(1, 4, 9, 16), 'other tensors are unchanged');
});

test('tensors without values are allowed', async () => {
  await using executor = createOrtExecutor({ threads: 1 });
  const segment = await executor.load(doubling(), 'doubling');
  const x = executor.upload(new Float32Array(0), 'float32', [0, 2]);
  const { twice } = await executor.run(segment, { inputs: { x }, outputs: ['twice'] });
  assert.deepEqual([twice?.dims, twice?.bytes], [[0, 2], 0]);
});

test('an event is reached when the operations issued before it are complete', async () => {
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

test('wrong sizes, released tensors, wrong inputs and invalid graphs give distinct errors', async () => {
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
  assert.ok(
    await executor.run(segment, { inputs: { x }, outputs: ['twice'] }),
    'the executor still works after these errors',
  );
  assert.throws(() => createOrtExecutor({ threads: 0 }), { reason: 'CONFIG_INVALID' });
});

test('a missing provider is an error; no other provider replaces it', async () => {
  await using executor = createOrtExecutor({ threads: 1, provider: { cuda: 0 } });
  await assert.rejects(
    executor.load(doubling(), 'doubling'),
    /on cuda:0: the provider is not available.*talkmesh doctor/,
  );
});

test('after closing, calls reject and releases do nothing', async () => {
  const executor = createOrtExecutor({ threads: 1 });
  const x = executor.upload(new Float32Array(2), 'float32', [1, 2]);
  await executor[Symbol.asyncDispose]();
  await executor[Symbol.asyncDispose]();
  executor.release(x);
  await assert.rejects(executor.stats(), { reason: 'CANCELLED' });
});

test('when the thread exits, pending and later calls reject, and so does failed', async () => {
  const executor = createOrtExecutor({ threads: 1 });
  const segment = await executor.load(doubling(), 'doubling');
  const x = executor.upload(new Float32Array(2), 'float32', [1, 2]);
  const failed = assert.rejects(executor.failed, { reason: 'INTERNAL', message: /inference thread ended/ });
  // Data of the wrong type: an upload has no reply that could carry the error, so the thread ends.
  executor.upload(new Float32Array(2), 'int64', [2]);
  await assert.rejects(executor.run(segment, { inputs: { x }, outputs: ['twice'] }), /inference thread ended/);
  await failed;
  await assert.rejects(executor.stats(), { reason: 'INTERNAL' });
  executor.release(x);
  await executor[Symbol.asyncDispose]();
});
