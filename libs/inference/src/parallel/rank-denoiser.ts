import { MeshError, type QualityTier, qualityTiers } from '@talkmesh/contracts';
import { compileCut, fromRows, openWeights, toRows } from '../compile/index.js';
import type { Executor, Segment, TensorHandle } from '../executor/executor.js';
import { VALUE_BYTES } from '../executor/executor.js';
import type { OrtProvider } from '../executor/ort-protocol.js';
import type { GraphModel } from '../model/model.js';
import type { ChunkWork, Denoiser, PassContext, PassTarget } from '../score/denoiser.js';
import { KeyValues } from '../score/key-values.js';
import { audioTokens, type SharedTensors } from '../score/shared-tensors.js';
import { NO_TIMELINE, nowUs, type Timeline } from '../timeline.js';
import { checkPlan, type ParallelPlan } from './plan.js';
import { type GroupPass, RankGroup, type RankSetup, type RestartReason } from './rank-group.js';
import type { PassReply, PassTimes } from './rank-protocol.js';

export interface RankOptions {
  readonly plan: ParallelPlan;
  /** Devices of the ranks, group by group. With more ranks than devices the list repeats. Default: the CPU. */
  readonly devices?: readonly OrtProvider[];
  /** Threads that the runtime uses for one run, per rank. */
  readonly threads?: number;
  /** Whether ranks wait for rows only when they are needed. Default true. */
  readonly overlap?: boolean;
  /** Longest wait for a rank before its group restarts, milliseconds. */
  readonly deadlineMs?: number;
  readonly timeline?: Timeline;
  /** Called with the cause before a group restarts. */
  readonly onRestart?: (why: string, reason: RestartReason) => void;
  /** Called for every rank after each pass. */
  readonly onPass?: (times: PassTimes) => void;
}

/** Where keys and values are kept: in which incarnation of which group, under which id. */
interface Parts {
  readonly group: RankGroup;
  readonly incarnation: number;
  readonly id: number;
}

/** What a step of a tier computes from its noise level, [K]. */
interface StepVectors {
  readonly step: number;
  readonly values: Float32Array;
}

const DEADLINE_MS = 10_000;
/** The chunk id of silence. Ranks keep the outputs of the condition segment for it until they exit. */
const SILENCE = 0;

/**
 * Runs the score network on groups of rank threads: a group's ranks share the tokens, the groups share the denoising
 * steps.
 */
export class RankDenoiser implements Denoiser<Parts> {
  readonly depth: number;
  readonly failed: Promise<never>;
  readonly sharedBytes: number;
  readonly model: GraphModel;
  readonly groups: readonly RankGroup[];
  readonly timeline: Timeline;
  readonly #executor: Executor;
  readonly #audio: Segment;
  readonly #silence: Float32Array;
  /** Bytes of one pass's keys and values on all ranks of a group together. */
  readonly #keyValueBytes: number;
  readonly #frames: readonly { readonly from: number; readonly to: number }[];
  readonly #times: PassTimes[] = [];
  readonly #onPass: (times: PassTimes) => void;
  #nextId = 1;
  #nextWork = SILENCE + 1;

  private constructor(parts: {
    model: GraphModel;
    executor: Executor;
    audio: Segment;
    shared: SharedTensors;
    silence: Float32Array;
    setups: readonly (readonly RankSetup[])[];
    options: RankOptions;
  }) {
    const { model, executor, setups, options } = parts;
    const { plan, deadlineMs = DEADLINE_MS, onRestart = () => undefined } = options;
    this.model = model;
    this.depth = plan.steps;
    this.timeline = options.timeline ?? NO_TIMELINE;
    this.#onPass = options.onPass ?? (() => undefined);
    this.#executor = executor;
    this.#audio = parts.audio;
    this.#silence = parts.silence;
    this.groups = setups.map((ranks, i) => new RankGroup({ name: `step group ${i}`, ranks, deadlineMs, onRestart }));
    this.#frames = (setups[0] ?? []).map(({ cut }) => cut.frames);
    this.failed = Promise.race([executor.failed, ...this.groups.map((group) => group.failed)]);
    this.failed.catch(() => undefined);
    const { dit } = model.manifest.score;
    const tokens = (setups[0]?.[0]?.shape.rows ?? 0) * plan.sequence;
    const copies = plan.exchange === 'all-gather' ? plan.sequence : 1;
    this.#keyValueBytes = 2 * dit.layers * tokens * dit.dim * VALUE_BYTES.float32 * copies;
    const modulations = setups.flat().flatMap((setup) => setup.modulations);
    this.sharedBytes = modulations.reduce((sum, values) => sum + (values?.byteLength ?? 0), parts.shared.bytes);
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
    checkPlan(options.plan, model.manifest);
    const download = async (handle: TensorHandle): Promise<Float32Array> =>
      (await executor.download(handle)) as Float32Array;
    const modulations: StepVectors[] = [];
    for (const tensors of shared.steps.values())
      for (const [step, handle] of tensors.modulations.entries())
        modulations.push({ step, values: await download(handle) });
    const silence = await download(shared.silence);
    const setups = await setUpRanks(model, modulations, options);
    const denoiser = new RankDenoiser({ model, executor, audio, shared, silence, setups, options });
    try {
      await Promise.all(denoiser.groups.map((group) => group.ready));
    } catch (error) {
      await denoiser[Symbol.asyncDispose]();
      throw error;
    }
    return denoiser;
  }

  /** Returns the times of the passes since the last call, one entry per pass and rank. */
  takeTimes(): PassTimes[] {
    return this.#times.splice(0);
  }

  start(x: Float32Array, sound: Float32Array | undefined, tier: QualityTier): ChunkWork<Parts> {
    const tokens = sound === undefined ? Promise.resolve(this.#silence) : this.#encode(sound);
    return new RankWork(this, { x, id: sound === undefined ? SILENCE : this.#nextWork++, tokens, tier });
  }

  async runs(): Promise<Readonly<Record<string, number>>> {
    const sum: Record<string, number> = { ...(await this.#executor.stats()).runs };
    for (const group of this.groups)
      for (const [name, count] of Object.entries(await group.runs())) sum[name] = (sum[name] ?? 0) + count;
    return sum;
  }

  /** Runs one step of one chunk on the group that is responsible for the step. */
  async pass(
    tier: QualityTier,
    step: number,
    pass: Omit<GroupPass, 'step' | 'makes' | 'shards'> & { readonly shards: GroupPass['shards'] },
  ): Promise<{ readonly x: Float32Array; readonly keyValues: KeyValues<Parts> }> {
    const group = this.groupOf(step);
    const id = this.#nextId++;
    const { incarnation } = group;
    const replies = await group.pass({ ...pass, step: this.#offsetOf(tier) + step, makes: id });
    this.#note(step, pass.work, replies);
    const free = (): void => {
      if (group.incarnation === incarnation) group.send({ op: 'free', keyValues: [id] });
    };
    const keyValues = new KeyValues<Parts>({ group, incarnation, id }, this.#keyValueBytes, free);
    return { x: joined(replies.map((reply) => reply.x)), keyValues };
  }

  /** Ranks count the steps of all tiers through, in the order of `qualityTiers`. */
  #offsetOf({ name }: QualityTier): number {
    const tiers = qualityTiers(this.model.manifest);
    const before = tiers.slice(
      0,
      tiers.findIndex((tier) => tier.name === name),
    );
    return before.reduce((sum, { schedule }) => sum + schedule.length, 0);
  }

  groupOf(step: number): RankGroup {
    return this.groups[step % this.groups.length] as RankGroup;
  }

  /** Divides the rows among the ranks, and the condition tokens if they are given. */
  shards(x: Float32Array, tokens: Float32Array | undefined): GroupPass['shards'] {
    const { tokensPerFrame, tokenDim } = this.model.manifest.audio;
    const perFrame = tokensPerFrame * tokenDim;
    const floats = x.length / this.#frames.length;
    return this.#frames.map(({ from, to }, rank) => ({
      x: x.slice(rank * floats, (rank + 1) * floats),
      condition: tokens?.slice(from * perFrame, to * perFrame),
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.groups.map((group) => group.close()));
  }

  async #encode(sound: Float32Array): Promise<Float32Array> {
    const startUs = nowUs();
    const handle = await audioTokens(this.model, this.#executor, this.#audio, sound);
    const tokens = (await this.#executor.take(handle)) as Float32Array;
    this.timeline.span('audio', 'encode', startUs, nowUs());
    return tokens;
  }

  #note(step: number, work: number, replies: readonly PassReply[]): void {
    this.#times.push(...replies.map((reply) => reply.times));
    if (this.#times.length > 10_000) this.#times.splice(0, 5000);
    for (const { times } of replies) this.#onPass(times);
    if (!this.timeline.enabled) return;
    const group = step % this.groups.length;
    for (const [rank, { spans }] of replies.entries()) {
      const lane = `rank ${group}.${rank}`;
      const [first, last] = [spans[0], spans.at(-1)];
      if (first === undefined || last === undefined) continue;
      this.timeline.span(lane, `step ${step}`, first.startUs, last.endUs, { work, step });
      for (const { name, startUs, endUs } of spans) this.timeline.span(lane, name, startUs, endUs);
    }
  }
}

class RankWork implements ChunkWork<Parts> {
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

  async pass(step: number, context: PassContext<Parts> | undefined, target: PassTarget): Promise<KeyValues<Parts>> {
    // Retained so that a rollback during the pass does not free what it still reads.
    const held = context === undefined ? [] : [context.first.retain(), context.previous.retain()];
    try {
      return await this.#pass(step, context, target);
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

  async #pass(step: number, context: PassContext<Parts> | undefined, target: PassTarget): Promise<KeyValues<Parts>> {
    const group = this.#denoiser.groupOf(step);
    const tokens = await this.#tokens;
    // A session that opens waits for a restarting group. A session with state there fails, since the state is lost.
    if (context === undefined) await group.ready;
    const hasCondition = this.#conditionSent.get(group) === group.incarnation;
    this.#conditionSent.set(group, group.incarnation);
    const { x, keyValues } = await this.#denoiser.pass(this.#tier, step, {
      work: this.#id,
      context: context && { first: idIn(group, context.first), previous: idIn(group, context.previous) },
      move: this.#move(step, target),
      shards: this.#denoiser.shards(this.#rows, hasCondition ? undefined : tokens),
    });
    this.#rows = x;
    return keyValues;
  }

  #move(step: number, target: PassTarget): number | undefined {
    const { schedule } = this.#tier;
    const level = schedule[step] as number;
    if (target === 'none') return undefined;
    return target === 'end' ? -level : (schedule[step + 1] ?? 0) - level;
  }
}

/** @throws MeshError PEER_LOST when the group has restarted since */
function idIn(group: RankGroup, { parts }: KeyValues<Parts>): number {
  if (parts.group === group && parts.incarnation === group.incarnation) return parts.id;
  throw new MeshError('PEER_LOST', 'the state of this session was lost with a rank; open it again');
}

async function setUpRanks(
  model: GraphModel,
  modulations: readonly StepVectors[],
  { plan, devices = ['cpu'], threads = 1, overlap = true, deadlineMs = DEADLINE_MS, timeline }: RankOptions,
): Promise<RankSetup[][]> {
  const { dit, weights: files } = model.manifest.score;
  const weights = await openWeights(model.folder, files);
  const exchange = plan.exchange === 'all-gather' ? 'gather' : 'heads';
  const cuts = Array.from({ length: plan.sequence }, (_, rank) =>
    compileCut(dit, weights, model.ditGeometry, {
      rank,
      ranks: plan.sequence,
      exchange,
      fuse: true,
      splitQuery: overlap && exchange === 'gather' && plan.sequence > 1,
    }),
  );
  return Array.from({ length: plan.steps }, (_, group) =>
    cuts.map((cut, rank) => ({
      shape: { rank, ranks: plan.sequence, rows: cut.tokens.to - cut.tokens.from, dim: dit.dim },
      exchange: plan.exchange,
      overlap,
      deadlineMs,
      cut,
      modulations: modulations.map(({ step, values }) => (step % plan.steps === group ? values : undefined)),
      threads,
      provider: devices[(group * plan.sequence + rank) % devices.length] as OrtProvider,
      timed: timeline?.enabled ?? false,
    })),
  );
}

function joined(shards: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(shards.reduce((sum, shard) => sum + shard.length, 0));
  let at = 0;
  for (const shard of shards) {
    whole.set(shard, at);
    at += shard.length;
  }
  return whole;
}
