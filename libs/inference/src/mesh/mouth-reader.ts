import { openWeights, readWeight } from '../compile/index.js';
import type { Model } from '../model/model.js';
import { RIG_NUMBERS } from './face-shapes.js';
import { RIG_MATRICES, type RigMatrices, rigRows } from './rig-rows.js';

/** Place of the mouth's opening in a rig row. */
const OPENING = 0;

/** Reads from latents how far the mouth is open, without decoding them. */
export class MouthReader {
  readonly #matrices: RigMatrices;
  readonly #values: number;

  private constructor(matrices: RigMatrices) {
    this.#matrices = matrices;
    this.#values = matrices.plain.length / matrices.plainBias.length;
  }

  /** @returns undefined for a model whose latents cannot be read @throws MeshError MODEL_INVALID */
  static async load({ folder, manifest }: Model): Promise<MouthReader | undefined> {
    const file = 'mesh' in manifest.decoder ? manifest.decoder.mesh : undefined;
    if (file === undefined) return undefined;
    const weights = await openWeights(folder, [file]);
    const matrices: Record<string, Float32Array> = {};
    for (const [field, tensor] of Object.entries(RIG_MATRICES)) matrices[field] = await readWeight(weights, tensor);
    return new MouthReader(matrices as unknown as RigMatrices);
  }

  /**
   * @param latents [n, L] latent frames of a chunk @param before [L]: the latent frame before them, undefined at a session's start
   * @returns the opening in each video frame, 0 closed to 1
   */
  openings(latents: Float32Array, before: Float32Array | undefined): Float32Array {
    const state = new Float32Array(this.#values + 1);
    if (before !== undefined) {
      state.set(before);
      state[this.#values] = 1;
    }
    const rows = rigRows(latents, state, this.#matrices);
    return Float32Array.from(
      { length: rows.length / RIG_NUMBERS },
      (_, i) => rows[i * RIG_NUMBERS + OPENING] as number,
    );
  }

  /** The last latent frame of a chunk: what `openings` of the next one needs. */
  lastFrame(latents: Float32Array): Float32Array {
    return latents.slice(-this.#values);
  }
}
