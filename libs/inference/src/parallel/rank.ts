import type { CompiledSegment, CutStage } from '../compile/index.js';
import { nowUs } from '../timeline.js';
import {
  AttentionRows,
  type Environment,
  type LayerContext,
  type LayerKeyValues,
  type RankTensor,
} from './attention-rows.js';
import type { Exchange } from './exchange.js';
import type { PassReply, PassRequest, RankSpan, RankWorkerData } from './rank-protocol.js';

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
  /** Outputs of the condition segment, by the id of the chunk. */
  readonly #conditions = new Map<number, Readonly<Record<string, RankTensor>>>();
  readonly #runs = new Map<string, number>();

  constructor(data: RankWorkerData, exchange: Exchange, run: RunSegment) {
    this.#data = data;
    this.#exchange = exchange;
    this.#rows = new AttentionRows(exchange, data.shape, data.exchange);
    this.#run = run;
  }

  /** Number of runs so far, by segment. */
  get runs(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#runs);
  }

  free(keyValues: readonly number[]): void {
    for (const id of keyValues) this.#kept.delete(id);
  }

  end(work: number): void {
    this.#conditions.delete(work);
  }

  async pass(request: PassRequest): Promise<PassReply> {
    const clock = new PassClock(this.#exchange, this.#data.timed);
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
    this.#kept.set(request.makes, made);
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
      const keyValues = clock.copy(`${name} in`, complete);
      if (keyValues !== undefined) made[layer] = keyValues;
    };
  }

  async #enter({ work, step, x, condition }: PassRequest, clock: PassClock): Promise<Environment> {
    const { cut, modulations, shape } = this.#data;
    const modulation = modulations[step];
    if (modulation === undefined)
      throw new Error(`step ${step} belongs to another group of ranks; send it to group step mod groups`);
    if (cut.condition !== undefined && !this.#conditions.has(work))
      this.#conditions.set(work, await this.#encodeCondition(cut.condition, condition, clock));
    return new Map<string, RankTensor>([
      ['x', { data: x, dims: [shape.rows, x.length / shape.rows] }],
      ['modulation', { data: modulation, dims: [modulation.length] }],
      ...Object.entries(this.#conditions.get(work) ?? {}),
    ]);
  }

  async #encodeCondition(
    segment: CompiledSegment,
    condition: Float32Array | undefined,
    clock: PassClock,
  ): Promise<Readonly<Record<string, RankTensor>>> {
    const dims = segment.inputs.find((input) => input.name === 'condition')?.dims as readonly number[] | undefined;
    if (condition === undefined || dims === undefined)
      throw new Error('the first pass of a chunk has no condition tokens; send them with it');
    const inputs: Environment = new Map([['condition', { data: condition, dims }]]);
    return clock.compute(segment.name, () => this.#execute(segment, inputs));
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

  #context({ context }: PassRequest, layer: number): LayerContext | undefined {
    if (context === undefined) return undefined;
    const of = (id: number): LayerKeyValues => {
      const keyValues = this.#kept.get(id)?.[layer];
      if (keyValues === undefined) throw new Error(`keys and values ${id} were freed before this pass read them`);
      return keyValues;
    };
    return { first: of(context.first), previous: of(context.previous) };
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
  #computeUs = 0;
  #copyUs = 0;

  constructor(exchange: Exchange, timed: boolean) {
    this.#exchange = exchange;
    this.#timed = timed;
    this.#waitedBeforeUs = exchange.waitedUs;
  }

  async compute<T>(name: string, work: () => Promise<T>): Promise<T> {
    const startUs = nowUs();
    const result = await work();
    this.#computeUs += this.#note(name, startUs, nowUs());
    return result;
  }

  /** Runs `work` and separates its waiting time, which comes almost entirely before the copying. */
  copy<T>(name: string, work: () => T): T {
    const startUs = nowUs();
    const waitedUs = this.#exchange.waitedUs;
    const result = work();
    const copyFromUs = startUs + this.#exchange.waitedUs - waitedUs;
    if (copyFromUs - startUs > 1) this.#note('wait', startUs, copyFromUs);
    this.#copyUs += this.#note(name, copyFromUs, nowUs());
    return result;
  }

  times(): PassReply['times'] {
    const waitUs = this.#exchange.waitedUs - this.#waitedBeforeUs;
    return { computeUs: this.#computeUs, waitUs, copyUs: this.#copyUs };
  }

  #note(name: string, startUs: number, endUs: number): number {
    if (this.#timed) this.spans.push({ name, startUs, endUs });
    return endUs - startUs;
  }
}
