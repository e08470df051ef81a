import type { CompiledSegment, CutStage } from '../compile/index.js';
import type { RuntimeSpan } from '../executor/runtime.js';
import { nowUs } from '../timeline.js';
import {
  AttentionRows,
  type Environment,
  type LayerContext,
  type LayerKeyValues,
  type RankTensor,
} from './attention-rows.js';
import type { Exchange } from './exchange.js';
import type { ChunkShard, PassReply, PassRequest, RankSpan, RankWorkerData } from './rank-protocol.js';

/** Runs a segment of the cut graph. Inputs and outputs are keyed by name. */
export type RunSegment = (
  segment: CompiledSegment,
  inputs: Readonly<Record<string, RankTensor>>,
) => Promise<Readonly<Record<string, RankTensor>>>;

/** One rank's part of its group's passes: runs its share of the cut graph, exchanges rows, keeps keys and values. */
export class Rank {
  readonly #data: RankWorkerData;
  readonly #exchange: Exchange;
  readonly #rows: AttentionRows;
  readonly #run: RunSegment;
  /** Keys and values by id, then by layer. */
  readonly #kept = new Map<number, readonly LayerKeyValues[]>();
  /** What the passes of a chunk share, by its id. */
  readonly #shared = new Map<number, Readonly<Record<string, RankTensor>>>();
  /** What all chunks share. */
  #prompt: Readonly<Record<string, RankTensor>> = {};
  readonly #runs = new Map<string, number>();
  #clock: PassClock | undefined;

  constructor(data: RankWorkerData, exchange: Exchange, run: RunSegment) {
    this.#data = data;
    this.#exchange = exchange;
    this.#rows = new AttentionRows(exchange, data.shape, data.exchange, data.contextChunks);
    this.#run = run;
  }

  /** Number of runs so far, by segment. */
  get runs(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#runs);
  }

  /** Computes what all chunks share. The passes come after it. */
  async prepare(): Promise<void> {
    const { cut, prompt } = this.#data;
    if (prompt !== undefined && cut.condition !== undefined)
      this.#prompt = await this.#encode(cut.condition, 'condition', prompt);
  }

  /** Shows a copy between processor and device in the pass that needs it. */
  copied({ name, startUs, endUs }: RuntimeSpan): void {
    this.#clock?.note('copies', name, startUs, endUs);
  }

  free(keyValues: readonly number[]): void {
    for (const id of keyValues) this.#kept.delete(id);
  }

  end(work: number): void {
    this.#shared.delete(work);
  }

  async pass(request: PassRequest): Promise<PassReply> {
    const clock = new PassClock(this.#exchange, this.#data.timed);
    this.#clock = clock;
    const { cut, overlap } = this.#data;
    const env = await this.#enter(request, clock);
    const made: LayerKeyValues[] = [];
    let pending: (() => void) | undefined;
    for (const stage of cut.stages) {
      if (stage.awaits !== undefined) pending?.();
      const outputs = await clock.compute(stage.segment.name, () => this.#execute(stage.segment, env));
      for (const [name, tensor] of Object.entries(outputs)) env.set(name.replace(/^next_/, ''), tensor);
      if (stage.begins === undefined) continue;
      pending = this.#begin(stage, request, env, made, clock);
      if (!overlap) pending();
    }
    if (request.makes !== undefined) this.#kept.set(request.makes, made);
    return { x: moved(request, env), times: clock.times(), spans: clock.spans };
  }

  /** @returns a function that completes the exchange; a second call does nothing */
  #begin(
    stage: CutStage,
    request: PassRequest,
    env: Environment,
    made: LayerKeyValues[],
    clock: PassClock,
  ): () => void {
    const [name, layer] = [stage.begins as NonNullable<CutStage['begins']>, stage.layer as number];
    const complete = clock.copy(`${name} out`, () => this.#rows.begin(name, env, this.#context(request, layer)));
    let completed = false;
    return () => {
      if (completed) return;
      completed = true;
      clock.copy(`${name} in`, () => {
        const found = complete();
        if (found === undefined || request.makes === undefined) return;
        made[layer] = { keys: found.keys.slice(), values: found.values.slice() };
      });
    };
  }

  async #enter({ work, level, x, shard }: PassRequest, clock: PassClock): Promise<Environment> {
    const { modulations } = this.#data;
    const modulation = modulations[level];
    if (modulation === undefined)
      throw new Error(`noise level ${level} belongs to another group of ranks; send the pass to its group`);
    if (shard !== undefined && !this.#shared.has(work)) this.#shared.set(work, await this.#share(shard, clock));
    const shared = this.#shared.get(work);
    if (shared === undefined) throw new Error('the first pass of a chunk has no shard of it; send it with the pass');
    return new Map<string, RankTensor>([
      ['x', this.#ofRows(x)],
      ['modulation', { data: modulation, dims: [modulation.length] }],
      ...Object.entries({ ...this.#prompt, ...shared }),
    ]);
  }

  async #share(
    { condition, sound, rows = {} }: ChunkShard,
    clock: PassClock,
  ): Promise<Readonly<Record<string, RankTensor>>> {
    const { cut } = this.#data;
    const shared: Record<string, RankTensor> = {};
    for (const [name, values] of Object.entries(rows)) shared[name] = this.#ofRows(values);
    const inputs = { condition, sound };
    for (const name of ['condition', 'sound'] as const) {
      const [segment, values] = [cut[name], inputs[name]];
      if (segment === undefined || values === undefined) continue;
      Object.assign(shared, await clock.compute(segment.name, () => this.#encode(segment, name, values)));
    }
    return shared;
  }

  #ofRows(data: Float32Array): RankTensor {
    const { rows } = this.#data.shape;
    return { data, dims: [rows, data.length / rows] };
  }

  #encode(segment: CompiledSegment, name: string, data: Float32Array): Promise<Readonly<Record<string, RankTensor>>> {
    const dims = segment.inputs.find((input) => input.name === name)?.dims as readonly number[];
    return this.#execute(segment, new Map([[name, { data, dims }]]));
  }

  #execute(segment: CompiledSegment, env: Environment): Promise<Readonly<Record<string, RankTensor>>> {
    const inputs = segment.inputs.map(({ name }) => {
      const tensor = env.get(name);
      if (tensor === undefined)
        throw new Error(`segment ${segment.name} needs ${name}, which no earlier stage computed`);
      return [name, tensor] as const;
    });
    this.#runs.set(segment.name, (this.#runs.get(segment.name) ?? 0) + 1);
    return this.#run(segment, Object.fromEntries(inputs));
  }

  #context({ context }: PassRequest, layer: number): LayerContext {
    return context.map((id) => {
      const keyValues = this.#kept.get(id)?.[layer];
      if (keyValues === undefined) throw new Error(`keys and values ${id} were freed before this pass read them`);
      return keyValues;
    });
  }
}

/** The Euler step on this rank's rows. */
function moved({ x, move }: PassRequest, env: Environment): Float32Array {
  if (move === undefined) return x;
  const velocity = env.get('velocity')?.data;
  if (velocity?.length !== x.length)
    throw new Error("the cut graph's velocity does not match its rows; compile the graph again");
  return x.map((value, i) => value + move * (velocity[i] as number));
}

/** Measures how the time of a pass divides. */
class PassClock {
  readonly spans: RankSpan[] = [];
  readonly #exchange: Exchange;
  readonly #timed: boolean;
  readonly #waitedBeforeUs: number;
  readonly #readBefore: number;
  #computeUs = 0;
  #copyUs = 0;

  constructor(exchange: Exchange, timed: boolean) {
    this.#exchange = exchange;
    this.#timed = timed;
    this.#waitedBeforeUs = exchange.waitedUs;
    this.#readBefore = exchange.readFloats;
  }

  async compute<T>(name: string, work: () => Promise<T>): Promise<T> {
    const startUs = nowUs();
    const result = await work();
    this.#computeUs += this.note('compute', name, startUs, nowUs());
    return result;
  }

  /** Runs `work` and separates its waiting time, which comes almost entirely before the copying. */
  copy<T>(name: string, work: () => T): T {
    const startUs = nowUs();
    const waitedUs = this.#exchange.waitedUs;
    const result = work();
    const copyFromUs = startUs + this.#exchange.waitedUs - waitedUs;
    if (copyFromUs - startUs > 1) this.note('copies', 'wait', startUs, copyFromUs);
    this.#copyUs += this.note('copies', name, copyFromUs, nowUs());
    return result;
  }

  times(): PassReply['times'] {
    const waitUs = this.#exchange.waitedUs - this.#waitedBeforeUs;
    const receivedBytes = Float32Array.BYTES_PER_ELEMENT * (this.#exchange.readFloats - this.#readBefore);
    return { computeUs: this.#computeUs, waitUs, copyUs: this.#copyUs, receivedBytes };
  }

  note(kind: RankSpan['kind'], name: string, startUs: number, endUs: number): number {
    if (this.#timed) this.spans.push({ kind, name, startUs, endUs });
    return endUs - startUs;
  }
}
