/** The executor's thread: onnxruntime-node's `run` blocks the thread it is called on. */
import { parentPort, workerData } from 'node:worker_threads';
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import type { TensorData, TensorInfo } from './executor.js';
import { KERNELS, type Kernel, type KernelTensor } from './kernels.js';
import type { OrtCall, OrtReply, OrtRequest, OrtWorkerData, TensorFacts } from './ort-protocol.js';
import { openOrtSession } from './ort-session.js';

interface LoadedSegment {
  readonly session: Pick<InferenceSession, 'run' | 'release'>;
  readonly name: string;
  runs: number;
}

const { threads, provider } = workerData as OrtWorkerData;
const segments = new Map<number, LoadedSegment>();
const tensors = new Map<number, Tensor>();

function tensorOf(id: number): Tensor {
  const tensor = tensors.get(id);
  if (tensor === undefined) throw new Error(`tensor ${id} was released`);
  return tensor;
}

const describe = (metadata: readonly InferenceSession.ValueMetadata[]): TensorInfo[] =>
  metadata.map((value) =>
    value.isTensor
      ? { name: value.name, type: value.type, dims: [...value.shape] }
      : { name: value.name, type: 'not a tensor', dims: [] },
  );

/** A kernel in the shape of a session. */
const kernelSession = (kernel: Kernel): LoadedSegment['session'] => ({
  run: async (feeds) => {
    const results = Object.entries(kernel.run(feeds as unknown as Record<string, KernelTensor>));
    return Object.fromEntries(results.map(([name, { type, data, dims }]) => [name, new Tensor(type, data, dims)]));
  },
  release: async () => undefined,
});

async function load(request: OrtRequest & { op: 'load' }): Promise<{ inputs: TensorInfo[]; outputs: TensorInfo[] }> {
  if (typeof request.source === 'object' && 'kernel' in request.source) {
    const kernel = KERNELS[request.source.kernel];
    segments.set(request.segment, { session: kernelSession(kernel), name: request.name, runs: 0 });
    return { inputs: [...kernel.inputs], outputs: [...kernel.outputs] };
  }
  const { source, weightsFolder } = request;
  const session = await openOrtSession(source, { threads, provider, weightsFolder });
  segments.set(request.segment, { session, name: request.name, runs: 0 });
  return { inputs: describe(session.inputMetadata), outputs: describe(session.outputMetadata) };
}

async function run(request: OrtRequest & { op: 'run' }): Promise<TensorFacts[]> {
  const segment = segments.get(request.segment);
  if (segment === undefined) throw new Error(`segment ${request.segment} is not loaded`);
  const feeds = Object.fromEntries(request.inputs.map(([name, id]) => [name, tensorOf(id)]));
  const results = await segment.session.run(
    feeds,
    request.outputs.map(([name]) => name),
  );
  segment.runs += 1;
  return request.outputs.map(([name, id]) => {
    const tensor = results[name];
    if (tensor === undefined) throw new Error(`no output ${name}`);
    tensors.set(id, tensor);
    return { type: tensor.type, dims: [...tensor.dims] } as TensorFacts;
  });
}

/** The values without a copy, unless the buffer holds more than them. */
function take(id: number): TensorData {
  const data = tensorOf(id).data as TensorData;
  tensors.delete(id);
  return data.byteLength === data.buffer.byteLength ? data : data.slice();
}

function release(ids: readonly number[]): void {
  for (const id of ids) {
    tensors.get(id)?.dispose();
    tensors.delete(id);
  }
}

function stats(): { handles: number; bytes: number; runs: Record<string, number> } {
  let bytes = 0;
  for (const tensor of tensors.values()) bytes += (tensor.data as TensorData).byteLength;
  const runs: Record<string, number> = {};
  for (const { name, runs: count } of segments.values()) runs[name] = (runs[name] ?? 0) + count;
  return { handles: tensors.size, bytes, runs };
}

async function close(): Promise<void> {
  release([...tensors.keys()]);
  for (const { session } of segments.values()) await session.release();
  segments.clear();
}

async function answer(request: OrtRequest): Promise<unknown> {
  switch (request.op) {
    case 'load':
      return load(request);
    case 'upload':
      tensors.set(request.tensor, new Tensor(request.type, request.data, request.dims));
      return undefined;
    case 'run':
      return run(request);
    case 'download':
      return (tensorOf(request.tensor).data as TensorData).slice();
    case 'take':
      return take(request.tensor);
    case 'release':
      release(request.tensors);
      return undefined;
    case 'fence':
      return undefined;
    case 'stats':
      return stats();
    case 'close':
      await close();
      return undefined;
  }
}

/** Requests are answered strictly one after the other. */
let last: Promise<void> = Promise.resolve();

parentPort?.on('message', ({ call, request }: OrtCall) => {
  last = last.then(async () => {
    try {
      const value = await answer(request);
      const moves = request.op === 'download' || request.op === 'take';
      const transfer = moves ? [(value as TensorData).buffer as ArrayBuffer] : [];
      if (call !== undefined) parentPort?.postMessage({ call, value } satisfies OrtReply, transfer);
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown.message : String(thrown);
      if (call === undefined) throw thrown;
      parentPort?.postMessage({ call, error } satisfies OrtReply);
    }
    if (request.op === 'close') parentPort?.close();
  });
});
