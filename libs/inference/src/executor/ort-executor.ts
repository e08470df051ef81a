import type { Worker } from 'node:worker_threads';
import { MeshError } from '@talkmesh/contracts';
import type { KernelSource } from '../kernels/kernels.js';
import { NO_TIMELINE, type Timeline } from '../timeline.js';
import {
  type Bindings,
  type Executor,
  type ExecutorEvent,
  type ExecutorStats,
  type Segment,
  type SegmentInfo,
  type StreamId,
  type TensorData,
  type TensorHandle,
  type TensorType,
  VALUE_BYTES,
} from './executor.js';
import {
  type OrtCall,
  type OrtProvider,
  type OrtReply,
  type OrtRequest,
  type OrtSpans,
  type OrtWorkerData,
  providerName,
  type TensorFacts,
} from './ort-protocol.js';
import { spawnWorker } from './spawn-worker.js';

export interface OrtExecutorOptions {
  /** Threads that the runtime uses for one run. */
  readonly threads: number;
  readonly provider?: OrtProvider;
  /** `native`: the C API also on the processor, which is how devices are used. Other providers always use it. */
  readonly api?: 'binding' | 'native';
  /** Shows runs and copies of the stream, each kind in a lane of its own. */
  readonly timeline?: Timeline;
}

const CLOSE_DEADLINE_MS = 2000;
/** All operations of an executor run in order, on one stream. */
const STREAM: StreamId = 0;

/** Runs ONNX Runtime in one worker thread. All operations run in order, so there is only one stream. */
export function createOrtExecutor(options: OrtExecutorOptions): Executor {
  if (!Number.isInteger(options.threads) || options.threads < 1)
    throw new MeshError(
      'CONFIG_INVALID',
      `inference threads must be a positive integer, not ${options.threads}; set TALKMESH_INFERENCE_THREADS`,
    );
  const { provider = 'cpu', timeline = NO_TIMELINE } = options;
  const api = provider === 'cpu' ? (options.api ?? 'binding') : 'native';
  const thread = api === 'binding' ? 'binding-worker' : 'native/native-worker';
  return new OrtExecutor(thread, { threads: options.threads, provider, timed: timeline.enabled }, timeline);
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

class OrtExecutor implements Executor {
  readonly failed: Promise<never>;
  readonly provider: string;
  readonly onProcessor: Record<string, Readonly<Record<string, number>>> = {};
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #closed: MeshError | undefined;

  constructor(thread: string, workerData: OrtWorkerData, timeline: Timeline) {
    this.provider = providerName(workerData.provider);
    this.#worker = spawnWorker(import.meta.url, thread, workerData);
    this.#worker.on('message', (message: OrtReply | OrtSpans) => {
      if ('spans' in message) showSpans(timeline, `${this.provider} stream ${STREAM}`, message);
      else this.#settle(message);
    });
    this.failed = new Promise((_, reject) => {
      const exited = (why: string, cause?: unknown): void => {
        const expected = this.#closed !== undefined;
        this.#closed ??= new MeshError('INTERNAL', `the inference thread ended: ${why}; restart the worker`, { cause });
        for (const { reject: rejectCall } of this.#waiting.values()) rejectCall(this.#closed);
        this.#waiting.clear();
        if (!expected) reject(this.#closed);
      };
      this.#worker.on('error', (error) => exited(error.message, error));
      this.#worker.on('exit', (code) => exited(`exit code ${code}`));
    });
    // `failed` may have no handler; callers without one see the error in their pending call.
    this.failed.catch(() => undefined);
  }

  async load(source: string | Uint8Array | KernelSource, name: string, weightsFolder?: string): Promise<Segment> {
    const id = this.#nextId++;
    try {
      const facts = await this.#call<SegmentInfo>({
        op: 'load',
        segment: id,
        name,
        source,
        weightsFolder,
      });
      if (Object.keys(facts.onProcessor).length > 0) this.onProcessor[name] = facts.onProcessor;
      return { id, name, ...facts };
    } catch (cause) {
      const what = typeof source === 'string' ? source : name;
      const where = this.provider === 'cpu' ? '' : ` on ${this.provider}`;
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

  record(stream: StreamId = STREAM): ExecutorEvent {
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
    this.#closed = new MeshError('CANCELLED', 'the executor was closed; create another one');
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

function showSpans(timeline: Timeline, stream: string, { spans }: OrtSpans): void {
  for (const { kind, name, startUs, endUs, bytes } of spans)
    timeline.span(`${stream} ${kind}`, name, startUs, endUs, bytes === undefined ? undefined : { bytes });
}

function handleOf(id: number, { type, dims }: TensorFacts): TensorHandle {
  return { id, type, dims, bytes: dims.reduce((product, dim) => product * dim, VALUE_BYTES[type]) };
}
