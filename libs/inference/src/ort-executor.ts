import type { Worker } from 'node:worker_threads';
import { MeshError } from '@talkmesh/contracts';
import {
  type Bindings,
  type Executor,
  type ExecutorEvent,
  type ExecutorStats,
  type Segment,
  type StreamId,
  type TensorData,
  type TensorHandle,
  type TensorInfo,
  type TensorType,
  VALUE_BYTES,
} from './executor.js';
import type { KernelSource } from './kernels.js';
import type { OrtCall, OrtProvider, OrtReply, OrtRequest, OrtWorkerData, TensorFacts } from './ort-protocol.js';
import { spawnWorker } from './spawn-worker.js';

export interface OrtExecutorOptions {
  /** Threads of one run inside the runtime. */
  readonly threads: number;
  readonly provider?: OrtProvider;
}

const CLOSE_DEADLINE_MS = 2000;

/** ONNX Runtime in one worker thread; everything issued runs in order, so there is one stream. */
export function createOrtExecutor(options: OrtExecutorOptions): Executor {
  if (!Number.isInteger(options.threads) || options.threads < 1)
    throw new MeshError('CONFIG_INVALID', `inference threads must be a positive integer, not ${options.threads}`);
  return new OrtExecutor({ threads: options.threads, provider: options.provider ?? 'cpu' });
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

class OrtExecutor implements Executor {
  readonly failed: Promise<never>;
  readonly #provider: OrtProvider;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #closed: MeshError | undefined;

  constructor(workerData: OrtWorkerData) {
    this.#provider = workerData.provider;
    this.#worker = spawnWorker(import.meta.url, 'ort-worker', workerData);
    this.#worker.on('message', (reply: OrtReply) => this.#settle(reply));
    this.failed = new Promise((_, reject) => {
      const died = (why: string, cause?: unknown): void => {
        const expected = this.#closed !== undefined;
        this.#closed ??= new MeshError('INTERNAL', `the inference thread ended: ${why}`, { cause });
        for (const { reject: rejectCall } of this.#waiting.values()) rejectCall(this.#closed);
        this.#waiting.clear();
        if (!expected) reject(this.#closed);
      };
      this.#worker.on('error', (error) => died(error.message, error));
      this.#worker.on('exit', (code) => died(`exit code ${code}`));
    });
    // Whoever does not watch `failed` still sees the error in the call that was running.
    this.failed.catch(() => undefined);
  }

  async load(source: string | Uint8Array | KernelSource, name: string, weightsFolder?: string): Promise<Segment> {
    const id = this.#nextId++;
    try {
      const facts = await this.#call<{ inputs: TensorInfo[]; outputs: TensorInfo[] }>({
        op: 'load',
        segment: id,
        name,
        source,
        weightsFolder,
      });
      return { id, name, ...facts };
    } catch (cause) {
      const what = typeof source === 'string' ? source : name;
      const where = this.#provider === 'cpu' ? '' : ' on CUDA (is the CUDA provider of onnxruntime-node installed?)';
      throw new MeshError('MODEL_INVALID', `${what} cannot be loaded${where}: ${(cause as Error).message}`, { cause });
    }
  }

  upload(data: TensorData, type: TensorType, dims: readonly number[]): TensorHandle {
    const count = dims.reduce((product, dim) => product * dim, 1);
    if (count !== data.length) throw new RangeError(`a tensor of [${dims}] has ${count} values, not ${data.length}`);
    const id = this.#nextId++;
    this.#post({ request: { op: 'upload', tensor: id, type, dims, data } });
    return { id, type, dims, bytes: data.byteLength };
  }

  async run(segment: Segment, bindings: Bindings): Promise<Record<string, TensorHandle>> {
    const inputs = Object.entries(bindings.inputs).map(([name, handle]) => [name, handle.id] as const);
    const outputs = bindings.outputs.map((name) => [name, this.#nextId++] as const);
    let facts: TensorFacts[];
    try {
      facts = await this.#call<TensorFacts[]>({ op: 'run', segment: segment.id, inputs, outputs });
    } catch (cause) {
      throw new MeshError('INTERNAL', `${segment.name} failed: ${(cause as Error).message}`, { cause });
    }
    return Object.fromEntries(outputs.map(([name, id], i) => [name, handleOf(id, facts[i] as TensorFacts)] as const));
  }

  record(stream: StreamId = 0): ExecutorEvent {
    const reached = this.#call<void>({ op: 'fence' });
    reached.catch(() => undefined);
    return { stream, reached };
  }

  await(event: ExecutorEvent): Promise<void> {
    return event.reached;
  }

  take(handle: TensorHandle): Promise<TensorData> {
    return this.#call({ op: 'take', tensor: handle.id });
  }

  download(handle: TensorHandle): Promise<TensorData> {
    return this.#call({ op: 'download', tensor: handle.id });
  }

  release(...handles: readonly TensorHandle[]): void {
    if (this.#closed !== undefined || handles.length === 0) return;
    this.#post({ request: { op: 'release', tensors: handles.map((handle) => handle.id) } });
  }

  stats(): Promise<ExecutorStats> {
    return this.#call({ op: 'stats' });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed !== undefined) return;
    const exited = new Promise<void>((resolve) => this.#worker.once('exit', () => resolve()));
    const closing = this.#call<void>({ op: 'close' });
    this.#closed = new MeshError('CANCELLED', 'the executor was closed');
    const overdue = setTimeout(() => void this.#worker.terminate(), CLOSE_DEADLINE_MS);
    await closing.catch(() => undefined);
    await exited;
    clearTimeout(overdue);
  }

  #call<T>(request: OrtRequest): Promise<T> {
    const call = this.#nextId++;
    return new Promise<T>((resolve, reject) => {
      if (this.#closed !== undefined) {
        reject(this.#closed);
        return;
      }
      this.#waiting.set(call, { resolve: resolve as (value: unknown) => void, reject });
      this.#post({ call, request });
    });
  }

  #post(call: OrtCall): void {
    if (this.#closed !== undefined) throw this.#closed;
    this.#worker.postMessage(call);
  }

  #settle(reply: OrtReply): void {
    const waiting = this.#waiting.get(reply.call);
    this.#waiting.delete(reply.call);
    if (reply.error === undefined) waiting?.resolve(reply.value);
    else waiting?.reject(new Error(reply.error));
  }
}

function handleOf(id: number, { type, dims }: TensorFacts): TensorHandle {
  return { id, type, dims, bytes: dims.reduce((product, dim) => product * dim, VALUE_BYTES[type]) };
}
