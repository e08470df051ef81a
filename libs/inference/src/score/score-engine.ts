import { MeshError } from '@talkmesh/contracts';
import { compileTimestep, loadCompiled, openWeights } from '../compile/index.js';
import type { Executor } from '../executor/executor.js';
import type { Model } from '../model/model.js';
import { ReferenceCache, type ReferenceFeatures, referenceFeatures } from '../model/reference.js';
import { RankDenoiser, type RankOptions } from '../parallel/rank-denoiser.js';
import type { Denoiser } from './denoiser.js';
import { type ScoreContext, ScoreSession, type ScoreSessionOptions } from './score-session.js';
import { computeShared, releaseShared, type SharedTensors } from './shared-tensors.js';
import { WholeDenoiser } from './whole-denoiser.js';

/** Bytes of state by kind, for admission and metrics. */
export interface StateBytes {
  readonly kv: number;
  readonly reference: number;
  readonly audio: number;
  readonly timestep: number;
}

/**
 * The score network of a model: sparse causal attention, whose caches hold keys and values of the same noise level
 * (docs/architecture.md section 3, TalkingMachines section 3). Sessions share the timestep embeddings, the tokens of silence and, per avatar, c_0.
 */
export class ScoreEngine implements ScoreContext, AsyncDisposable {
  readonly model: Model;
  readonly executor: Executor;
  readonly denoiser: Denoiser;
  readonly references: ReferenceCache<ReferenceFeatures>;
  readonly #shared: SharedTensors;
  readonly #sessions = new Set<ScoreSession>();

  private constructor(
    model: Model,
    executor: Executor,
    parts: { denoiser: Denoiser; references: ReferenceCache<ReferenceFeatures>; shared: SharedTensors },
  ) {
    this.model = model;
    this.executor = executor;
    this.denoiser = parts.denoiser;
    this.references = parts.references;
    this.#shared = parts.shared;
  }

  /**
   * Loads the graphs and computes what all sessions share. The caller keeps ownership of the executor. With a parallel plan
   * the executor encodes audio and reference pictures, and the plan's ranks run the passes.
   * @throws MeshError MODEL_INVALID; CONFIG_INVALID when the plan does not fit the model
   */
  static async load(model: Model, executor: Executor, ranks?: RankOptions): Promise<ScoreEngine> {
    const { dit, weights } = model.manifest.score;
    if (dit.context !== undefined)
      throw new MeshError(
        'MODEL_INVALID',
        'models whose chunks attend to finished chunks are not served yet; see docs/models.md',
      );
    const audio = await executor.load(model.path('audio'), 'audio');
    const timestep = await loadCompiled(executor, compileTimestep(dit, await openWeights(model.folder, weights)));
    const reference = await executor.load(model.path('reference'), 'reference');
    const references = new ReferenceCache(executor, async (avatar) =>
      referenceFeatures(executor, reference, model, avatar, await model.avatars.read(avatar)),
    );
    const shared = await computeShared(model, executor, audio, timestep);
    const parallel = ranks !== undefined && ranks.plan.sequence * ranks.plan.steps > 1;
    const denoiser: Denoiser = parallel
      ? await RankDenoiser.load(model, executor, { audio, shared }, ranks)
      : await WholeDenoiser.load(model, executor, audio, shared);
    return new ScoreEngine(model, executor, { denoiser, references, shared });
  }

  /** Number of chunks, of one or several sessions, that must be generated concurrently to keep every device busy. */
  get depth(): number {
    return this.denoiser.depth;
  }

  /** Rejects when the engine cannot continue and its process must be restarted; never resolves. */
  get failed(): Promise<never> {
    return this.denoiser.failed;
  }

  /** @throws MeshError AVATAR_NOT_FOUND */
  async openSession(options: ScoreSessionOptions): Promise<ScoreSession> {
    const session = await ScoreSession.open(this, options, (closed) => this.#sessions.delete(closed));
    this.#sessions.add(session);
    return session;
  }

  stateBytes(): StateBytes {
    const total = (pick: (session: ScoreSession) => number): number =>
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
