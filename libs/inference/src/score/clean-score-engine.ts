import { balancedTier, isOwnAvatar } from '@talkmesh/contracts';
import { type Executor, VALUE_BYTES } from '../executor/executor.js';
import type { VideoModel } from '../model/model.js';
import { type Features, ReferenceCache } from '../model/reference.js';
import { resizePicture } from '../model/resize-picture.js';
import { checkDevices, checkPlan, checkSteps, ONE_DEVICE, type ParallelPlan } from '../parallel/plan.js';
import type { RankOptions } from '../parallel/rank-groups.js';
import { loadMakers, type VideoMakers } from '../video/video-networks.js';
import { AvatarSink } from './avatar-sink.js';
import { CleanScoreSession } from './clean-score-session.js';
import type { Replay, ScoreEngine, ScoreSessionOptions, StateBytes } from './score-engine.js';

/** What all sessions of an avatar begin with. */
export interface CleanReference extends Features {
  /** Latents of the picture, [C, H, W] flat. */
  readonly picture: Float32Array;
  readonly sink: AvatarSink;
}

/** The score network of a video model: chunks attend to finished chunks (`dit.context`). Sessions share the prompt and, per avatar, the sink chunks. */
export class CleanScoreEngine implements ScoreEngine {
  /** A chunk attends to the finished one before it. */
  readonly sessionDepth = 1;
  readonly extraPasses = 1;
  readonly model: VideoModel;
  readonly executor: Executor;
  readonly makers: VideoMakers;
  readonly references: ReferenceCache<CleanReference>;
  readonly #plan: ParallelPlan;
  readonly #sessions = new Set<CleanScoreSession>();

  private constructor(model: VideoModel, executor: Executor, makers: VideoMakers, plan: ParallelPlan) {
    this.model = model;
    this.executor = executor;
    this.makers = makers;
    this.#plan = plan;
    // A picture of a user must not stay in memory when it is no longer used.
    this.references = new ReferenceCache(
      (avatar) => this.#prepare(avatar),
      (avatar) => !isOwnAvatar(avatar),
    );
  }

  /** @throws MeshError MODEL_INVALID; CONFIG_INVALID when the plan does not fit the model */
  static async load(model: VideoModel, executor: Executor, ranks?: RankOptions): Promise<CleanScoreEngine> {
    const { plan = ONE_DEVICE, devices = ['cpu'] } = ranks ?? {};
    checkPlan(plan, model.manifest);
    checkDevices(plan, devices, executor.provider);
    const makers = await loadMakers(executor, model, plan.sequence * plan.steps > 1 ? ranks : undefined);
    return new CleanScoreEngine(model, executor, makers, plan);
  }

  /** With groups of ranks that share the steps, chunks of several sessions. */
  get depth(): number {
    return this.makers.denoiser.depth;
  }

  /** Keys and values of one layer depend on the chunk before through every lower layer. Of a known chunk only the last pass runs. */
  replay({ schedule } = balancedTier(this.model.manifest)): Replay {
    const { dit } = this.model.manifest.score;
    return { depth: dit.layers, wholeSteps: 1, share: 1 / (schedule.length + this.extraPasses) };
  }

  get failed(): Promise<never> {
    return this.makers.denoiser.failed;
  }

  /** Each session may have an avatar, and so a sink, of its own. */
  sessionBytes(keepChunks: number): number {
    const { dit } = this.model.manifest.score;
    const { sink, recent } = this.makers.denoiser.model.dit.context as { sink: number; recent: number };
    const [kept, { geometry, manifest }] = [Math.max(1, keepChunks), this.model];
    const chunk = 2 * dit.layers * geometry.tokens * dit.dim * this.makers.denoiser.copies;
    const audio = (kept + 1) * manifest.audio.historySamples;
    const reference = geometry.sinkValues + geometry.latentValues / manifest.chunk.latentFrames;
    return VALUE_BYTES.float32 * ((sink + recent + kept) * chunk + audio + reference);
  }

  async openSession(options: ScoreSessionOptions): Promise<CleanScoreSession> {
    if (options.tier !== undefined) checkSteps(this.#plan, options.tier);
    const session = await CleanScoreSession.open(this, options, (closed) => this.#sessions.delete(closed));
    this.#sessions.add(session);
    return session;
  }

  stateBytes(): StateBytes {
    const total = (pick: (session: CleanScoreSession) => number): number =>
      [...this.#sessions].reduce((sum, session) => sum + pick(session), 0);
    return {
      kv: total((session) => session.kvBytes),
      audio: total((session) => session.audioBytes),
      reference: this.references.bytes,
      timestep: this.makers.denoiser.sharedBytes,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of [...this.#sessions]) session.dispose();
    this.references.freeUnused();
    await this.makers.denoiser[Symbol.asyncDispose]();
    await this.executor.await(this.executor.record());
  }

  /** Encodes the picture and makes the sink chunks of it. */
  async #prepare(avatar: string): Promise<CleanReference> {
    const { width, height } = this.model.manifest;
    const { images } = await this.model.avatars.read(avatar);
    const picture = await this.makers.picture.encode(resizePicture(images, width, height));
    const sink = await AvatarSink.make(this.makers, picture);
    return { avatar, picture, sink, bytes: sink.bytes + picture.byteLength, free: () => sink.free() };
  }
}
