import { MeshError } from '@talkmesh/contracts';
import type { Executor, Segment, TensorHandle } from '../executor/executor.js';
import type { AvatarPicture } from './avatar-source.js';
import type { GraphModel } from './model.js';
import { resizePicture } from './resize-picture.js';

/** What a worker computes from an avatar's reference picture and all sessions of the avatar on it share. */
export interface Features {
  readonly avatar: string;
  readonly bytes: number;
  /** Called once, when no session uses them any more. */
  free(): void;
}

/** Features that are tensors of the executor. */
export function ownedTensors(executor: Executor, handles: readonly TensorHandle[]): Pick<Features, 'bytes' | 'free'> {
  return {
    bytes: handles.reduce((sum, handle) => sum + handle.bytes, 0),
    free: () => executor.release(...handles),
  };
}

/** The outputs of a model's reference graph. */
export interface ReferenceFeatures extends Features {
  /** [latentFrames, C, H, W]. */
  readonly c0: TensorHandle;
  /** The decoder's `reference_*` inputs. */
  readonly decoderInputs: Readonly<Record<string, TensorHandle>>;
}

/** Runs the reference graph. @throws MeshError MODEL_INVALID, AVATAR_NOT_FOUND */
export async function referenceFeatures(
  executor: Executor,
  segment: Segment,
  model: GraphModel,
  avatar: string,
  { images, landmarks }: AvatarPicture,
): Promise<ReferenceFeatures> {
  const { manifest } = model;
  if (landmarks === undefined)
    throw new MeshError(
      'AVATAR_NOT_FOUND',
      'the picture was uploaded for a model that needs no landmarks: upload it again',
    );
  const { width, height } = manifest;
  const image = executor.upload(resizePicture(images, width, height), 'uint8', [height, width, 3]);
  const points = executor.upload(Float32Array.from(landmarks.flat()), 'float32', [landmarks.length, 2]);
  const names = Object.keys(manifest.decoder.referenceOutputs);
  try {
    const outputs = await executor.run(segment, {
      inputs: { image, landmarks: points },
      outputs: ['c0', ...names],
    });
    const { c0, ...decoderInputs } = outputs as { c0: TensorHandle } & Record<string, TensorHandle>;
    return { avatar, c0, decoderInputs, ...ownedTensors(executor, Object.values(outputs)) };
  } finally {
    executor.release(image, points);
  }
}

interface Entry<F> {
  readonly features: Promise<F>;
  users: number;
}

/** Features by avatar: computed for the first session that acquires them, freed when the last one releases them. */
export class ReferenceCache<F extends Features> {
  readonly #entries = new Map<string, Entry<F>>();
  readonly #compute: (avatar: string) => Promise<F>;
  readonly #keepsUnused: (avatar: string) => boolean;
  #unused: F | undefined;
  #bytes = 0;

  /**
   * @param compute the features of an avatar; the cache owns them
   * @param keepsUnused whether those of an avatar stay without a session, until those of the next one do. Default: none
   */
  constructor(compute: (avatar: string) => Promise<F>, keepsUnused: (avatar: string) => boolean = () => false) {
    this.#compute = compute;
    this.#keepsUnused = keepsUnused;
  }

  /** Bytes of features held. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Returns the features of an avatar. Each `acquire` needs one `release`.
   * @throws MeshError AVATAR_NOT_FOUND, MODEL_INVALID, NATS_UNAVAILABLE
   */
  async acquire(avatar: string): Promise<F> {
    const entry = this.#entries.get(avatar) ?? { features: this.#count(this.#compute(avatar)), users: 0 };
    this.#entries.set(avatar, entry);
    entry.users += 1;
    if (this.#unused?.avatar === avatar) this.#unused = undefined;
    try {
      return await entry.features;
    } catch (error) {
      entry.users -= 1;
      if (this.#entries.get(avatar) === entry) this.#entries.delete(avatar);
      throw error;
    }
  }

  release(features: F): void {
    const entry = this.#entries.get(features.avatar);
    if (entry === undefined) return;
    entry.users -= 1;
    if (entry.users > 0) return;
    if (!this.#keepsUnused(features.avatar)) {
      this.#free(features);
      return;
    }
    this.freeUnused();
    this.#unused = features;
  }

  freeUnused(): void {
    if (this.#unused !== undefined) this.#free(this.#unused);
    this.#unused = undefined;
  }

  #free(features: F): void {
    this.#entries.delete(features.avatar);
    this.#bytes -= features.bytes;
    features.free();
  }

  async #count(computed: Promise<F>): Promise<F> {
    const features = await computed;
    this.#bytes += features.bytes;
    return features;
  }
}
