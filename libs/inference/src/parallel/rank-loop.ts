/**
 * The thread of a rank: loads the rank's share of the graph, then runs its part of each pass, strictly one after the
 * other.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { CompiledSegment } from '../compile/index.js';
import type { Runtime, RuntimeOptions, RuntimeSegment, RuntimeSpan, RuntimeTensor } from '../executor/runtime.js';
import type { RankTensor } from './attention-rows.js';
import { Exchange, ExchangeError, failExchange } from './exchange.js';
import { Rank } from './rank.js';
import type { RankReply, RankRequest, RankWorkerData } from './rank-protocol.js';

/** Serves the passes of the thread that started this one. A failure ends the thread, since the ranks are then out of step. */
export function serveRank(create: (options: RuntimeOptions) => Runtime): void {
  const data = workerData as RankWorkerData;
  const { threads, provider, timed } = data;
  const thread = new RankThread(data);
  const onSpan = timed ? { onSpan: (span: RuntimeSpan) => thread.note(span) } : {};
  let last = thread.load(() => create({ threads, provider, ...onSpan }));
  last.catch((thrown) => thread.fail(thrown));
  parentPort?.on('message', (request: RankRequest) => {
    // Messages are read between two runs of the runtime, never inside one, where an exit would crash the process.
    if (request.op === 'leave') process.exit(request.code);
    last = last.then(() => thread.answer(request));
    last.catch((thrown) => thread.fail(thrown));
  });
}

class RankThread {
  readonly #data: RankWorkerData;
  readonly #graphs = new Map<CompiledSegment, RuntimeSegment>();
  readonly #rank: Rank;
  #runtime: Runtime | undefined;
  #failed = false;

  constructor(data: RankWorkerData) {
    this.#data = data;
    const exchange = new Exchange(data.memory, data.shape.rank, data.deadlineMs);
    this.#rank = new Rank(data, exchange, (segment, inputs) => this.#run(segment, inputs));
  }

  async load(create: () => Runtime): Promise<void> {
    const { stages, condition, sound } = this.#data.cut;
    this.#runtime = create();
    const segments = new Set([...stages.map((stage) => stage.segment), condition, sound]);
    for (const segment of segments)
      if (segment !== undefined)
        this.#graphs.set(segment, await this.#runtime.load(segment.onnx, segment.weightsFolder));
    await this.#rank.prepare();
    this.#reply({ type: 'ready' });
  }

  /** Runs are timed by the rank, with what surrounds them. */
  note(span: RuntimeSpan): void {
    if (span.kind === 'copies') this.#rank.copied(span);
  }

  async answer(request: Exclude<RankRequest, { op: 'leave' }>): Promise<void> {
    switch (request.op) {
      case 'pass': {
        const value = await this.#rank.pass(request);
        return this.#reply({ type: 'answer', call: request.call, value }, [value.x.buffer as ArrayBuffer]);
      }
      case 'end':
        return this.#rank.end(request.work);
      case 'free':
        return this.#rank.free(request.keyValues);
      case 'runs':
        return this.#reply({ type: 'answer', call: request.call, value: this.#rank.runs });
      case 'close':
        await this.#runtime?.close();
        parentPort?.close();
    }
  }

  /** A rank that failed is out of step with the parts of the other ranks, so the whole group must restart. */
  fail(thrown: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    const { memory, shape } = this.#data;
    const culprit = thrown instanceof ExchangeError ? thrown.culprit : shape.rank;
    failExchange(memory, culprit);
    this.#reply({ type: 'failed', message: thrown instanceof Error ? thrown.message : String(thrown), culprit });
    parentPort?.close();
  }

  async #run(
    segment: CompiledSegment,
    inputs: Readonly<Record<string, RankTensor>>,
  ): Promise<Readonly<Record<string, RankTensor>>> {
    const graph = this.#graphs.get(segment);
    const runtime = this.#runtime;
    if (graph === undefined || runtime === undefined)
      throw new Error(`segment ${segment.name} is not loaded; load every segment of the cut graph first`);
    const given: Record<string, RuntimeTensor> = {};
    for (const [name, { data: values, dims }] of Object.entries(inputs))
      given[name] = runtime.upload(values, 'float32', dims);
    const names = graph.outputs.map((output) => output.name);
    const made = await runtime.run(graph, given, names);
    const results = made.map((tensor, i) => {
      const result = { data: runtime.read(tensor) as Float32Array, dims: tensor.dims };
      runtime.release(tensor);
      return [names[i] as string, result] as const;
    });
    for (const tensor of Object.values(given)) runtime.release(tensor);
    return Object.fromEntries(results);
  }

  #reply(message: RankReply, transfer: readonly ArrayBuffer[] = []): void {
    parentPort?.postMessage(message, [...transfer]);
  }
}
