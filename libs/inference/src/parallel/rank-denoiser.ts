import { type QualityTier, qualityTiers } from '@talkmesh/contracts';
import { fromRows, openWeights, toRows } from '../compile/index.js';
import type { Executor, Segment, TensorHandle } from '../executor/executor.js';
import type { GraphModel } from '../model/model.js';
import type { ChunkWork, Denoiser, PassContext, PassTarget } from '../score/denoiser.js';
import type { KeyValues } from '../score/key-values.js';
import { audioTokens, type SharedTensors } from '../score/shared-tensors.js';
import { nowUs } from '../timeline.js';
import { checkDevices, checkPlan } from './plan.js';
import type { RankGroup } from './rank-group.js';
import { RankGroups, type RankOptions, type RankParts } from './rank-groups.js';
import type { ChunkShard } from './rank-protocol.js';

/** What a step of a tier computes from its noise level, [K]. */
interface StepVectors {
  readonly step: number;
  readonly values: Float32Array;
}

/** The chunk id of silence. Ranks keep the outputs of the condition segment for it until they exit. */
const SILENCE = 0;

/**
 * Runs the score network on groups of rank threads: a group's ranks share the tokens, the groups share the denoising
 * steps.
 */
export class RankDenoiser implements Denoiser<RankParts> {
  readonly depth: number;
  readonly failed: Promise<never>;
  readonly sharedBytes: number;
  readonly model: GraphModel;
  readonly groups: RankGroups;
  readonly #executor: Executor;
  readonly #audio: Segment;
  readonly #silence: Float32Array;
  #nextWork = SILENCE + 1;

  private constructor(parts: {
    model: GraphModel;
    executor: Executor;
    audio: Segment;
    shared: SharedTensors;
    silence: Float32Array;
    groups: RankGroups;
  }) {
    const { model, executor, groups } = parts;
    this.model = model;
    this.depth = groups.all.length;
    this.groups = groups;
    this.#executor = executor;
    this.#audio = parts.audio;
    this.#silence = parts.silence;
    this.failed = Promise.race([executor.failed, groups.failed]);
    this.failed.catch(() => undefined);
    this.sharedBytes = parts.shared.bytes + groups.sharedBytes;
  }

  /**
   * Compiles each rank's share of the graph and starts the ranks. The caller's executor encodes the audio.
   * @throws MeshError CONFIG_INVALID when the plan does not fit the model, MODEL_INVALID
   */
  static async load(
    model: GraphModel,
    executor: Executor,
    { audio, shared }: { readonly audio: Segment; readonly shared: SharedTensors },
    options: RankOptions,
  ): Promise<RankDenoiser> {
    const { plan, devices = ['cpu'] } = options;
    checkPlan(plan, model.manifest);
    checkDevices(plan, devices, executor.provider);
    const download = async (handle: TensorHandle): Promise<Float32Array> =>
      (await executor.download(handle)) as Float32Array;
    const vectors: StepVectors[] = [];
    for (const tensors of shared.steps.values())
      for (const [step, handle] of tensors.modulations.entries())
        vectors.push({ step, values: await download(handle) });
    const silence = await download(shared.silence);
    const { dit, weights: files } = model.manifest.score;
    const network = { dit, weights: await openWeights(model.folder, files), geometry: model.ditGeometry };
    const modulations = (group: number) =>
      vectors.map(({ step, values }) => (step % plan.steps === group ? values : undefined));
    const groups = await RankGroups.start(network, { modulations }, options);
    return new RankDenoiser({ model, executor, audio, shared, silence, groups });
  }

  start(x: Float32Array, sound: Float32Array | undefined, tier: QualityTier): ChunkWork<RankParts> {
    const tokens = sound === undefined ? Promise.resolve(this.#silence) : this.#encode(sound);
    return new RankWork(this, { x, id: sound === undefined ? SILENCE : this.#nextWork++, tokens, tier });
  }

  async runs(): Promise<Readonly<Record<string, number>>> {
    const sum: Record<string, number> = { ...(await this.#executor.stats()).runs };
    for (const [name, count] of Object.entries(await this.groups.runs())) sum[name] = (sum[name] ?? 0) + count;
    return sum;
  }

  /** Ranks count the steps of all tiers through, in the order of `qualityTiers`. */
  levelOf({ name }: QualityTier, step: number): number {
    const tiers = qualityTiers(this.model.manifest);
    const before = tiers.slice(
      0,
      tiers.findIndex((tier) => tier.name === name),
    );
    return before.reduce((sum, { schedule }) => sum + schedule.length, step);
  }

  /** The condition tokens of each rank's rows. */
  shards(tokens: Float32Array): ChunkShard[] {
    const { tokensPerFrame, tokenDim } = this.model.manifest.audio;
    return this.groups.byFrame(tokens, tokensPerFrame * tokenDim).map((condition) => ({ condition }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.groups[Symbol.asyncDispose]();
  }

  async #encode(sound: Float32Array): Promise<Float32Array> {
    const startUs = nowUs();
    const handle = await audioTokens(this.model, this.#executor, this.#audio, sound);
    const tokens = (await this.#executor.take(handle)) as Float32Array;
    this.groups.timeline.span('audio', 'encode', startUs, nowUs());
    return tokens;
  }
}

class RankWork implements ChunkWork<RankParts> {
  readonly #denoiser: RankDenoiser;
  readonly #id: number;
  readonly #tier: QualityTier;
  readonly #tokens: Promise<Float32Array>;
  /** The incarnation in which each group received the condition tokens. */
  readonly #conditionSent = new Map<RankGroup, number>();
  #rows: Float32Array;

  constructor(
    denoiser: RankDenoiser,
    chunk: {
      readonly x: Float32Array;
      readonly id: number;
      readonly tokens: Promise<Float32Array>;
      readonly tier: QualityTier;
    },
  ) {
    const { manifest, ditGeometry } = denoiser.model;
    this.#denoiser = denoiser;
    this.#id = chunk.id;
    this.#tier = chunk.tier;
    this.#tokens = chunk.tokens;
    this.#tokens.catch(() => undefined);
    this.#rows = toRows(manifest.score.dit, ditGeometry, chunk.x);
  }

  async pass(
    step: number,
    context: PassContext<RankParts> | undefined,
    target: PassTarget,
  ): Promise<KeyValues<RankParts>> {
    // Retained so that a rollback during the pass does not free what it still reads.
    const held = context === undefined ? [] : [context.first.retain(), context.previous.retain()];
    try {
      return await this.#pass(step, held, target);
    } finally {
      for (const keyValues of held) keyValues.release();
    }
  }

  async latents(): Promise<Float32Array> {
    const { manifest, ditGeometry } = this.#denoiser.model;
    return fromRows(manifest.score.dit, ditGeometry, this.#rows);
  }

  release(): void {
    if (this.#id !== SILENCE) for (const group of this.#conditionSent.keys()) group.send({ op: 'end', work: this.#id });
  }

  async #pass(
    step: number,
    context: readonly KeyValues<RankParts>[],
    target: PassTarget,
  ): Promise<KeyValues<RankParts>> {
    const { groups } = this.#denoiser;
    const group = groups.of(step);
    const tokens = await this.#tokens;
    // A session that opens waits for a restarting group. A session with state there fails, since the state is lost.
    if (context.length === 0) await group.ready;
    const hasCondition = this.#conditionSent.get(group) === group.incarnation;
    this.#conditionSent.set(group, group.incarnation);
    const makes = groups.nextId();
    const keyValues = groups.keyValues(makes, [group]);
    this.#rows = await groups.pass(group, {
      name: `step ${step}`,
      work: this.#id,
      level: this.#denoiser.levelOf(this.#tier, step),
      rows: this.#rows,
      shards: hasCondition ? undefined : this.#denoiser.shards(tokens),
      context,
      makes,
      move: this.#move(step, target),
    });
    return keyValues;
  }

  #move(step: number, target: PassTarget): number | undefined {
    const { schedule } = this.#tier;
    const level = schedule[step] as number;
    if (target === 'none') return undefined;
    return target === 'end' ? -level : (schedule[step + 1] ?? 0) - level;
  }
}
