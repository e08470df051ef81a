import { fromRows, toRows } from '../compile/index.js';
import { ropeRows } from '../compile/rope.js';
import type { Executor } from '../executor/executor.js';
import {
  type ChunkInputs,
  type CleanDenoiser,
  type CleanModel,
  type CleanWork,
  checkCleanModel,
  modulationsOf,
  noiseLevels,
} from '../score/clean-denoiser.js';
import type { KeyValues } from '../score/key-values.js';
import { keyValueCopies } from './plan.js';
import type { RankGroup } from './rank-group.js';
import { RankGroups, type RankOptions, type RankParts, type RowsPass } from './rank-groups.js';
import type { ChunkShard } from './rank-protocol.js';

/**
 * Runs the network on groups of rank threads: a group's ranks share the tokens, the groups share the denoising steps. Every group makes the
 * keys and values of finished chunks itself, since all its steps attend to them and latents are smaller to pass on.
 */
export class RankCleanDenoiser implements CleanDenoiser<RankParts> {
  readonly depth: number;
  readonly copies: number;
  readonly failed: Promise<never>;
  readonly sharedBytes: number;
  readonly model: CleanModel;
  readonly groups: RankGroups;
  readonly #levels: readonly number[];
  #nextWork = 0;

  private constructor(model: CleanModel, executor: Executor, groups: RankGroups, { plan }: RankOptions) {
    this.model = model;
    this.groups = groups;
    this.depth = plan.steps;
    this.copies = plan.steps * keyValueCopies(plan);
    this.sharedBytes = groups.sharedBytes;
    this.#levels = noiseLevels(model);
    this.failed = Promise.race([executor.failed, groups.failed]);
    this.failed.catch(() => undefined);
  }

  /**
   * Compiles each rank's share of the graph and starts the ranks. The caller's executor computes the vectors of the noise levels.
   * @throws MeshError CONFIG_INVALID when the tokens or heads cannot be divided, MODEL_INVALID
   */
  static async load(executor: Executor, model: CleanModel, options: RankOptions): Promise<RankCleanDenoiser> {
    checkCleanModel(model);
    const handles = [...(await modulationsOf(executor, model)).values()];
    const modulations: Float32Array[] = [];
    for (const handle of handles) modulations.push((await executor.take(handle)) as Float32Array);
    const prompt = model.geometry.condition === undefined ? {} : { prompt: model.prompt };
    const groups = await RankGroups.start(model, { modulations: () => modulations, ...prompt }, options);
    return new RankCleanDenoiser(model, executor, groups, options);
  }

  async begin(chunk: number, inputs: ChunkInputs<RankParts>): Promise<CleanWork<RankParts>> {
    // A session without state waits for a restarting group. One with state there fails, since the state is lost.
    if (inputs.context.length === 0) await this.groups.ready();
    return new RankCleanWork(this, this.#nextWork++, this.#shards(chunk, inputs), inputs.context);
  }

  async holds(kept: readonly KeyValues<RankParts>[]): Promise<boolean> {
    await this.groups.ready();
    return kept.every((keyValues) => this.groups.holds(keyValues));
  }

  numberOf(level: number): number {
    return this.#levels.indexOf(level);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.groups[Symbol.asyncDispose]();
  }

  /** Positions are those of the whole chunk, so a rank's begin where its rows do. */
  #shards(chunk: number, { sound, given }: ChunkInputs<RankParts>): ChunkShard[] {
    const { dit, geometry } = this.model;
    const { cos, sin } = ropeRows(dit, geometry, chunk * geometry.latentFrames, geometry.latentFrames);
    const divided: Record<string, Float32Array[]> = {
      rope_cos: this.groups.split(cos),
      rope_sin: this.groups.split(sin),
      ...(given === undefined ? {} : { given: this.groups.split(toRows(dit, geometry, given, geometry.given)) }),
    };
    const heard = sound && this.groups.byFrame(sound, geometry.sound ?? 0);
    return this.groups.split(cos).map((_, rank) => {
      const rows = Object.fromEntries(Object.entries(divided).map(([name, of]) => [name, of[rank] as Float32Array]));
      const own = heard?.[rank];
      return own === undefined ? { rows } : { rows, sound: own };
    });
  }
}

class RankCleanWork implements CleanWork<RankParts> {
  readonly #denoiser: RankCleanDenoiser;
  readonly #id: number;
  readonly #shards: readonly ChunkShard[];
  readonly #context: readonly KeyValues<RankParts>[];
  /** The incarnation in which each group received the shards. */
  readonly #sent = new Map<RankGroup, number>();

  constructor(
    denoiser: RankCleanDenoiser,
    id: number,
    shards: readonly ChunkShard[],
    context: readonly KeyValues<RankParts>[],
  ) {
    this.#denoiser = denoiser;
    this.#id = id;
    this.#shards = shards;
    this.#context = context;
  }

  async predict(step: number, level: number, x: Float32Array): Promise<Float32Array> {
    const { groups, model } = this.#denoiser;
    const rows = toRows(model.dit, model.geometry, x);
    const pass = { name: `step ${step}`, rows, level, makes: undefined, move: -level };
    return fromRows(model.dit, model.geometry, await this.#pass(groups.of(step), pass));
  }

  async keep(x: Float32Array): Promise<KeyValues<RankParts>> {
    const { groups, model } = this.#denoiser;
    const { level } = model.dit.context as { level: number };
    const makes = groups.nextId();
    const keyValues = groups.keyValues(makes, groups.all);
    const pass = { name: 'keep', rows: toRows(model.dit, model.geometry, x), level, makes, move: undefined };
    const passes = await Promise.allSettled(groups.all.map((group) => this.#pass(group, pass)));
    const failure = passes.find((result) => result.status === 'rejected');
    if (failure === undefined) return keyValues;
    keyValues.release();
    throw failure.reason;
  }

  release(): void {
    for (const group of this.#sent.keys()) group.send({ op: 'end', work: this.#id });
  }

  #pass(
    group: RankGroup,
    pass: Pick<RowsPass, 'name' | 'rows' | 'makes' | 'move'> & { readonly level: number },
  ): Promise<Float32Array> {
    const { groups } = this.#denoiser;
    const hasShards = this.#sent.get(group) === group.incarnation;
    this.#sent.set(group, group.incarnation);
    return groups.pass(group, {
      ...pass,
      work: this.#id,
      level: this.#denoiser.numberOf(pass.level),
      shards: hasShards ? undefined : this.#shards,
      context: this.#context,
    });
  }
}
