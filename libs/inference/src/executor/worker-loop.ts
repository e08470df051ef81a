/** The loop of the executor's thread. The thread exists because a run blocks the thread that calls it. */
import { parentPort, workerData } from 'node:worker_threads';
import { KERNELS, type Kernel } from '../kernels/kernels.js';
import { nowUs } from '../timeline.js';
import type { ExecutorStats, SegmentInfo, TensorData } from './executor.js';
import type { OrtCall, OrtReply, OrtRequest, OrtSpans, OrtWorkerData, TensorFacts } from './ort-protocol.js';
import type { Runtime, RuntimeOptions, RuntimeSegment, RuntimeSpan, RuntimeTensor } from './runtime.js';

interface LoadedSegment {
  readonly name: string;
  readonly graph: RuntimeSegment | { readonly kernel: Kernel };
  runs: number;
}

/** Answers requests with a runtime, which is created by the first request that needs it. */
class Requests {
  readonly #create: () => Runtime;
  readonly #segments = new Map<number, LoadedSegment>();
  readonly #tensors = new Map<number, RuntimeTensor>();
  #created: Runtime | undefined;
  /** The segment that runs. */
  #running = '';
  #spans: OrtSpans['spans'][number][] = [];

  constructor(create: () => Runtime) {
    this.#create = create;
  }

  async answer(request: OrtRequest): Promise<unknown> {
    switch (request.op) {
      case 'load':
        return this.#load(request);
      case 'upload':
        this.#tensors.set(request.tensor, this.#runtime().upload(request.data, request.type, request.dims));
        return undefined;
      case 'run':
        return this.#run(request);
      case 'download':
        return this.#runtime().read(this.#tensor(request.tensor)).slice();
      case 'take':
        return this.#take(request.tensor);
      case 'release':
        return this.#release(request.tensors);
      case 'fence':
        return undefined;
      case 'stats':
        return this.#stats();
      case 'close':
        return this.#close();
    }
  }

  /** Takes down what an operation took. */
  note(span: RuntimeSpan): void {
    this.#spans.push(span.name === 'run' ? { ...span, name: this.#running } : span);
  }

  /** What operations took since the last call. */
  takeSpans(): OrtSpans['spans'] {
    const taken = this.#spans;
    this.#spans = [];
    return taken;
  }

  #runtime(): Runtime {
    this.#created ??= this.#create();
    return this.#created;
  }

  #tensor(id: number): RuntimeTensor {
    const tensor = this.#tensors.get(id);
    if (tensor === undefined) throw new Error(`tensor ${id} was released before this operation`);
    return tensor;
  }

  async #load({ segment, name, source, weightsFolder }: OrtRequest & { op: 'load' }): Promise<SegmentInfo> {
    if (typeof source === 'object' && 'kernel' in source) {
      const kernel = KERNELS[source.kernel];
      this.#segments.set(segment, { name, graph: { kernel }, runs: 0 });
      return { inputs: [...kernel.inputs], outputs: [...kernel.outputs], onProcessor: {} };
    }
    const graph = await this.#runtime().load(source, weightsFolder);
    this.#segments.set(segment, { name, graph, runs: 0 });
    const { inputs, outputs, onProcessor } = graph;
    return { inputs, outputs, onProcessor };
  }

  async #run(request: OrtRequest & { op: 'run' }): Promise<TensorFacts[]> {
    const segment = this.#segments.get(request.segment);
    if (segment === undefined) throw new Error(`segment ${request.segment} is not loaded`);
    const inputs = Object.fromEntries(request.inputs.map(([name, id]) => [name, this.#tensor(id)]));
    const names = request.outputs.map(([name]) => name);
    const { graph } = segment;
    this.#running = segment.name;
    const made =
      'kernel' in graph
        ? this.#runKernel(graph.kernel, inputs, names)
        : await this.#runtime().run(graph, inputs, names);
    segment.runs += 1;
    return request.outputs.map(([, id], i) => {
      const tensor = made[i] as RuntimeTensor;
      this.#tensors.set(id, tensor);
      return { type: tensor.type, dims: tensor.dims };
    });
  }

  #runKernel(
    kernel: Kernel,
    inputs: Readonly<Record<string, RuntimeTensor>>,
    names: readonly string[],
  ): RuntimeTensor[] {
    const runs = this.#runtime();
    const given = Object.entries(inputs).map(([name, tensor]) => {
      const { type, dims } = tensor;
      return [name, { type, dims, data: runs.read(tensor) }] as const;
    });
    const startUs = nowUs();
    const results = kernel.run(Object.fromEntries(given));
    this.note({ kind: 'compute', name: 'run', startUs, endUs: nowUs() });
    return names.map((name) => {
      const result = results[name];
      if (result === undefined) throw new Error(`no output ${name}`);
      return runs.upload(result.data, result.type, result.dims);
    });
  }

  /** The values, copied only if their buffer also holds other data, since a transfer detaches the whole buffer. */
  #take(id: number): TensorData {
    const data = this.#runtime().read(this.#tensor(id));
    this.#release([id]);
    return data.byteLength === data.buffer.byteLength ? data : data.slice();
  }

  #release(ids: readonly number[]): void {
    for (const id of ids) {
      const tensor = this.#tensors.get(id);
      if (tensor !== undefined) this.#runtime().release(tensor);
      this.#tensors.delete(id);
    }
  }

  #stats(): ExecutorStats {
    const bytes = [...this.#tensors.values()].reduce((sum, tensor) => sum + tensor.bytes, 0);
    const runs: Record<string, number> = {};
    for (const { name, runs: count } of this.#segments.values()) runs[name] = (runs[name] ?? 0) + count;
    return { handles: this.#tensors.size, bytes, runs };
  }

  async #close(): Promise<void> {
    this.#release([...this.#tensors.keys()]);
    await this.#created?.close();
    this.#segments.clear();
  }
}

/** Serves the requests of the thread that started this one, strictly one after the other. */
export function serveExecutor(create: (options: RuntimeOptions) => Runtime): void {
  const { timed, ...options } = workerData as OrtWorkerData;
  const onSpan = timed ? { onSpan: (span: RuntimeSpan) => requests.note(span) } : {};
  const requests = new Requests(() => create({ ...options, ...onSpan }));
  let last: Promise<void> = Promise.resolve();
  parentPort?.on('message', ({ call, request }: OrtCall) => {
    last = last.then(async () => {
      try {
        const value = await requests.answer(request);
        const moves = request.op === 'download' || request.op === 'take';
        const transfer = moves ? [(value as TensorData).buffer as ArrayBuffer] : [];
        if (call !== undefined) parentPort?.postMessage({ call, value } satisfies OrtReply, transfer);
      } catch (thrown) {
        const error = thrown instanceof Error ? thrown.message : String(thrown);
        if (call === undefined) throw thrown;
        parentPort?.postMessage({ call, error } satisfies OrtReply);
      }
      const spans = requests.takeSpans();
      if (timed && spans.length > 0) parentPort?.postMessage({ spans } satisfies OrtSpans);
      if (request.op === 'close') parentPort?.close();
    });
  });
}
