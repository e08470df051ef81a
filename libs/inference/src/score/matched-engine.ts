import { balancedTier, type QualityTier } from '@talkmesh/contracts';
import { compileTimestep, loadCompiled, openWeights } from '../compile/index.js';
import type { Executor, Segment } from '../executor/executor.js';
import type { GraphModel } from '../model/model.js';
import { ReferenceCache, type ReferenceFeatures, referenceFeatures } from '../model/reference.js';
import { sessionStateBytes } from '../model/state-bytes.js';
import { checkSteps, type ParallelPlan } from '../parallel/plan.js';
import { RankDenoiser } from '../parallel/rank-denoiser.js';
import type { RankOptions } from '../parallel/rank-groups.js';
import type { Denoiser } from './denoiser.js';
import { type MatchedContext, MatchedScoreSession } from './matched-session.js';
import type { Replay, ScoreEngine, ScoreSessionOptions, StateBytes } from './score-engine.js';
import { computeShared, releaseShared, type SharedTensors } from './shared-tensors.js';
import { WholeDenoiser } from './whole-denoiser.js';

/**
 * The score network of a model: sparse causal attention, whose caches hold keys and values of the same noise level
 * (docs/architecture.md section 3, TalkingMachines section 3). Sessions share the timestep embeddings, the tokens of silence and, per avatar, c_0.
 */
export class MatchedScoreEngine implements ScoreEngine, MatchedContext {
  readonly extraPasses = 0;
  readonly model: GraphModel;
  readonly executor: Executor;
  readonly denoiser: Denoiser;
  readonly references: ReferenceCache<ReferenceFeatures>;
  readonly #shared: SharedTensors;
  readonly #plan: ParallelPlan | undefined;
  readonly #sessions = new Set<MatchedScoreSession>();

  private constructor(
    model: GraphModel,
    executor: Executor,
    parts: {
      denoiser: Denoiser;
      references: ReferenceCache<ReferenceFeatures>;
      shared: SharedTensors;
      plan: ParallelPlan | undefined;
    },
  ) {
    this.model = model;
    this.executor = executor;
    this.denoiser = parts.denoiser;
    this.references = parts.references;
    this.#shared = parts.shared;
    this.#plan = parts.plan;
  }

  /** @throws MeshError MODEL_INVALID; CONFIG_INVALID when the plan does not fit the model */
  static async load(model: GraphModel, executor: Executor, ranks?: RankOptions): Promise<MatchedScoreEngine> {
    const { dit, weights } = model.manifest.score;
    const audio = await executor.load(model.path('audio'), 'audio');
    const opened = await openWeights(model.folder, weights);
    const timestep = ({ time }: QualityTier): Promise<Segment> =>
      loadCompiled(executor, compileTimestep({ ...dit, time: { ...dit.time, ...time } }, opened));
    const reference = await executor.load(model.path('reference'), 'reference');
    const references = new ReferenceCache(async (avatar) =>
      referenceFeatures(executor, reference, model, avatar, await model.avatars.read(avatar)),
    );
    const shared = await computeShared(model, executor, audio, timestep);
    const parallel = ranks !== undefined && ranks.plan.sequence * ranks.plan.steps > 1;
    const denoiser: Denoiser = parallel
      ? await RankDenoiser.load(model, executor, { audio, shared }, ranks)
      : await WholeDenoiser.load(model, executor, audio, shared);
    return new MatchedScoreEngine(model, executor, { denoiser, references, shared, plan: ranks?.plan });
  }

  get depth(): number {
    return this.denoiser.depth;
  }

  get sessionDepth(): number {
    return this.depth;
  }

  /** Keys and values of one layer at one step depend on the chunk before through every lower layer and earlier step: one chunk each. */
  replay({ schedule } = balancedTier(this.model.manifest)): Replay {
    const { dit } = this.model.manifest.score;
    return { depth: dit.layers * schedule.length, wholeSteps: schedule.length, share: 1 };
  }

  get failed(): Promise<never> {
    return this.denoiser.failed;
  }

  sessionBytes(keepChunks: number, tier = balancedTier(this.model.manifest)): number {
    const plan = this.#plan && { plan: this.#plan };
    return sessionStateBytes(this.model.manifest, { keepChunks, steps: tier.schedule.length, ...plan }).total;
  }

  async openSession(options: ScoreSessionOptions): Promise<MatchedScoreSession> {
    if (this.#plan !== undefined && options.tier !== undefined) checkSteps(this.#plan, options.tier);
    const session = await MatchedScoreSession.open(this, options, (closed) => this.#sessions.delete(closed));
    this.#sessions.add(session);
    return session;
  }

  stateBytes(): StateBytes {
    const total = (pick: (session: MatchedScoreSession) => number): number =>
      [...this.#sessions].reduce((sum, session) => sum + pick(session), 0);
    return {
      kv: total((session) => session.kvBytes),
      audio: total((session) => session.audioBytes),
      reference: this.references.bytes,
      timestep: this.denoiser.sharedBytes,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of [...this.#sessions]) session.dispose();
    await this.denoiser[Symbol.asyncDispose]();
    releaseShared(this.executor, this.#shared);
    await this.executor.await(this.executor.record());
  }
}
