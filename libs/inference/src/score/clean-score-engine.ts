import { balancedTier, isOwnAvatar, MeshError } from '@talkmesh/contracts';
import { type Executor, VALUE_BYTES } from '../executor/executor.js';
import type { VideoModel } from '../model/model.js';
import { type Features, ReferenceCache } from '../model/reference.js';
import { resizePicture } from '../model/resize-picture.js';
import type { RankOptions } from '../parallel/rank-denoiser.js';
import { framesOf, nextWindow } from '../video/sound-window.js';
import { loadMakers, type VideoMakers } from '../video/video-networks.js';
import type { KeptKeyValues } from './clean-denoiser.js';
import { CleanScoreSession } from './clean-score-session.js';
import { CleanSession } from './clean-session.js';
import type { Replay, ScoreEngine, ScoreSessionOptions, StateBytes } from './score-engine.js';

/** The sink of an avatar is the same for all of its sessions, whatever their tier. */
export const SINK_SEED = 0;

/** What all sessions of an avatar begin with. */
export interface CleanReference extends Features {
  /** Latents of the picture, [C, H, W] flat. */
  readonly picture: Float32Array;
  /** Keys and values of the sink chunks: silence, from the picture on. */
  readonly sink: readonly KeptKeyValues[];
  /** Their latents, one chunk after the other, for the decoder. */
  readonly sinkLatents: Float32Array;
}

/** The score network of a video model: chunks attend to finished chunks (`dit.context`). Sessions share the prompt and, per avatar, the sink chunks. */
export class CleanScoreEngine implements ScoreEngine {
  readonly depth = 1;
  readonly extraPasses = 1;
  readonly model: VideoModel;
  readonly executor: Executor;
  readonly makers: VideoMakers;
  readonly references: ReferenceCache<CleanReference>;
  readonly #sessions = new Set<CleanScoreSession>();

  private constructor(model: VideoModel, executor: Executor, makers: VideoMakers) {
    this.model = model;
    this.executor = executor;
    this.makers = makers;
    // A picture of a user must not stay in memory when it is no longer used.
    this.references = new ReferenceCache(
      (avatar) => this.#prepare(avatar),
      (avatar) => !isOwnAvatar(avatar),
    );
  }

  /** @throws MeshError MODEL_INVALID; CONFIG_INVALID for a parallel plan */
  static async load(model: VideoModel, executor: Executor, ranks?: RankOptions): Promise<CleanScoreEngine> {
    if (ranks !== undefined && ranks.plan.sequence * ranks.plan.steps > 1)
      throw new MeshError(
        'CONFIG_INVALID',
        `${model.label} runs on one device; set TALKMESH_SEQUENCE_RANKS and TALKMESH_STEP_RANKS to 1`,
      );
    return new CleanScoreEngine(model, executor, await loadMakers(executor, model));
  }

  /** Keys and values of one layer depend on the chunk before through every lower layer. Of a known chunk only the last pass runs. */
  replay({ schedule } = balancedTier(this.model.manifest)): Replay {
    const { dit } = this.model.manifest.score;
    return { depth: dit.layers, wholeSteps: 1, share: 1 / (schedule.length + this.extraPasses) };
  }

  get failed(): Promise<never> {
    return this.executor.failed;
  }

  /** Each session may have an avatar, and so a sink, of its own. */
  sessionBytes(keepChunks: number): number {
    const { dit } = this.model.manifest.score;
    const { sink, recent } = this.makers.denoiser.model.dit.context as { sink: number; recent: number };
    const [kept, { geometry, manifest }] = [Math.max(1, keepChunks), this.model];
    const chunk = 2 * dit.layers * geometry.tokens * dit.dim;
    const audio = (kept + 1) * manifest.audio.historySamples;
    const reference = geometry.sinkValues + geometry.latentValues / manifest.chunk.latentFrames;
    return VALUE_BYTES.float32 * ((sink + recent + kept) * chunk + audio + reference);
  }

  async openSession(options: ScoreSessionOptions): Promise<CleanScoreSession> {
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

  /** Encodes the picture and makes the sink chunks of it, which no one sees. */
  async #prepare(avatar: string): Promise<CleanReference> {
    const { denoiser, sound, picture } = this.makers;
    const { rule } = sound;
    const { width, height } = this.model.manifest;
    const { images } = await this.model.avatars.read(avatar);
    const reference = await picture.encode(resizePicture(images, width, height));
    const { sink: count } = denoiser.model.dit.context as { sink: number };
    const session = new CleanSession(denoiser, { seed: SINK_SEED, keepChunks: 1, reference });
    try {
      const sinkLatents = new Float32Array(this.model.geometry.sinkValues);
      let window: Float32Array | undefined;
      for (let chunk = 0; chunk < count; chunk++) {
        window = nextWindow(rule, chunk, window, new Float32Array(framesOf(rule, chunk) * rule.samplesPerFrame));
        const latents = await session.generate(chunk, await sound.hear(chunk, window));
        sinkLatents.set(latents as Float32Array, chunk * this.model.geometry.latentValues);
      }
      const sink = session.sink();
      const kv = sink.reduce((sum, { bytes }) => sum + bytes, 0);
      return {
        avatar,
        picture: reference,
        sink,
        sinkLatents,
        bytes: kv + reference.byteLength + sinkLatents.byteLength,
        free: () => {
          for (const made of sink) made.release();
        },
      };
    } finally {
      session.dispose();
    }
  }
}
