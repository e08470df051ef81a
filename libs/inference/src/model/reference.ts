import type { Executor, Segment, TensorHandle } from '../executor/executor.js';
import type { Model } from './model.js';

/**
 * The features that a model computes from an avatar's reference picture. All sessions of the avatar on a worker share
 * them.
 */
export interface ReferenceFeatures {
  readonly avatar: string;
  /** [latentFrames, C, H, W]. */
  readonly c0: TensorHandle;
  /** The decoder's `reference_*` inputs. */
  readonly decoderInputs: Readonly<Record<string, TensorHandle>>;
  readonly bytes: number;
}

interface Entry {
  readonly features: Promise<ReferenceFeatures>;
  users: number;
}

/**
 * Reference features by avatar: computed for the first session that acquires them, freed when the last one releases
 * them.
 */
export class ReferenceCache {
  readonly #entries = new Map<string, Entry>();
  readonly #executor: Executor;
  readonly #segment: Segment;
  readonly #model: Model;
  #bytes = 0;

  constructor(executor: Executor, segment: Segment, model: Model) {
    this.#executor = executor;
    this.#segment = segment;
    this.#model = model;
  }

  /** Bytes of features held. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Returns the features of an avatar. Each `acquire` needs one `release`.
   * @throws MeshError AVATAR_NOT_FOUND, MODEL_INVALID, NATS_UNAVAILABLE
   */
  async acquire(avatar: string): Promise<ReferenceFeatures> {
    const entry = this.#entries.get(avatar) ?? { features: this.#compute(avatar), users: 0 };
    this.#entries.set(avatar, entry);
    entry.users += 1;
    try {
      return await entry.features;
    } catch (error) {
      entry.users -= 1;
      if (this.#entries.get(avatar) === entry) this.#entries.delete(avatar);
      throw error;
    }
  }

  release(features: ReferenceFeatures): void {
    const entry = this.#entries.get(features.avatar);
    if (entry === undefined) return;
    entry.users -= 1;
    if (entry.users > 0) return;
    this.#entries.delete(features.avatar);
    this.#bytes -= features.bytes;
    this.#executor.release(features.c0, ...Object.values(features.decoderInputs));
  }

  async #compute(avatar: string): Promise<ReferenceFeatures> {
    const { manifest } = this.#model;
    const { rgb, landmarks } = await this.#model.avatars.read(avatar);
    const image = this.#executor.upload(rgb, 'uint8', [manifest.height, manifest.width, 3]);
    const points = this.#executor.upload(Float32Array.from(landmarks.flat()), 'float32', [landmarks.length, 2]);
    const names = Object.keys(manifest.decoder.referenceOutputs);
    try {
      const outputs = await this.#executor.run(this.#segment, {
        inputs: { image, landmarks: points },
        outputs: ['c0', ...names],
      });
      const { c0, ...decoderInputs } = outputs as { c0: TensorHandle } & Record<string, TensorHandle>;
      const bytes = Object.values(outputs).reduce((sum, handle) => sum + handle.bytes, 0);
      this.#bytes += bytes;
      return { avatar, c0, decoderInputs, bytes };
    } finally {
      this.#executor.release(image, points);
    }
  }
}
