import { MeshError } from '@talkmesh/contracts';
import { openWeights, readWeight } from '../compile/index.js';
import type { Executor, Segment, TensorHandle } from '../executor/executor.js';
import { RIG_MATRICES } from '../mesh/rig-rows.js';
import type { GraphModel } from '../model/model.js';

const TRIANGLES = 'triangles';

/**
 * The decoder of photographs: a mesh with the photograph as texture instead of a network. It has the interface of a decoder graph (latents and
 * state in; frames and state out), so both share sessions and rollback.
 */
export class MeshDecoder {
  readonly segment: Segment;
  readonly #executor: Executor;
  readonly #reference: Segment;
  readonly #triangles: TensorHandle;
  readonly #matrices: Readonly<Record<string, TensorHandle>>;

  private constructor(
    executor: Executor,
    segments: { readonly reference: Segment; readonly decoder: Segment },
    triangles: TensorHandle,
    matrices: Readonly<Record<string, TensorHandle>>,
  ) {
    this.#executor = executor;
    this.#reference = segments.reference;
    this.segment = segments.decoder;
    this.#triangles = triangles;
    this.#matrices = matrices;
  }

  /** @returns undefined for a model without this decoder @throws MeshError MODEL_INVALID */
  static async load(model: GraphModel, executor: Executor): Promise<MeshDecoder | undefined> {
    const { width, height, decoder } = model.manifest;
    if (decoder.mesh === undefined) return undefined;
    if (width !== height)
      throw new MeshError(
        'MODEL_INVALID',
        `the mesh decoder needs square pictures, and ${model.label} has ${width}x${height}; remove decoder.mesh from its manifest`,
      );
    const weights = await openWeights(model.folder, [decoder.mesh]);
    const upload = async (name: string): Promise<TensorHandle> =>
      executor.upload(await readWeight(weights, name), 'float32', weights.get(name).dims);
    const reference = await executor.load({ kernel: 'mesh-reference' }, 'mesh-reference');
    const segment = await executor.load({ kernel: 'mesh-decoder' }, 'mesh-decoder');
    const matrices: Record<string, TensorHandle> = {};
    for (const name of Object.values(RIG_MATRICES)) matrices[name] = await upload(name);
    return new MeshDecoder(executor, { reference, decoder: segment }, await upload(TRIANGLES), matrices);
  }

  /**
   * Fits the mesh to a photograph; takes about 10 ms.
   * @param rgb [size, size, 3] @param points [468, 3] pixels @returns the kernel's inputs; those of `owned` are the caller's to release
   */
  async fit(
    rgb: Uint8Array,
    size: number,
    points: Float32Array,
  ): Promise<{ inputs: Record<string, TensorHandle>; owned: TensorHandle[] }> {
    const image = this.#executor.upload(rgb, 'uint8', [size, size, 3]);
    const places = this.#executor.upload(points, 'float32', [points.length / 3, 3]);
    try {
      const owned = await this.#executor.run(this.#reference, {
        inputs: { image, points: places, [TRIANGLES]: this.#triangles },
        outputs: this.#reference.outputs.map(({ name }) => name),
      });
      return { inputs: { ...owned, ...this.#matrices }, owned: Object.values(owned) };
    } finally {
      this.#executor.release(image, places);
    }
  }

  dispose(): void {
    this.#executor.release(this.#triangles, ...Object.values(this.#matrices));
  }
}
