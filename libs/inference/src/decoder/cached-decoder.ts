import { type CompiledSegment, loadCompiled } from '../compile/index.js';
import type { Executor, Segment, TensorHandle } from '../executor/executor.js';
import { loadRgbToI420 } from '../executor/step-graphs.js';

/** Graphs of a video decoder that keeps caches: `latent` [T, C, H, W], `cache_<i>` -> `rgb` [frames, 3, h, w] in 0..1, `next_cache_<i>`. */
export interface CachedGraphs {
  /** Decodes the first latent of a session, when it needs another graph; without cache inputs. */
  readonly first: CompiledSegment | undefined;
  readonly steady: CompiledSegment;
  /** Frames at the beginning of a session that are dropped. */
  readonly trim: number;
  /** Chunks back to which the caches depend. */
  readonly reach: number;
}

export type Caches = Readonly<Record<string, TensorHandle>>;

/** A video decoder with feature caches, such as Wan's or TAEHV's. One for all sessions. */
export class CachedDecoder implements AsyncDisposable {
  readonly executor: Executor;
  readonly #first: Segment | undefined;
  readonly #steady: Segment;
  readonly #trim: number;
  readonly #i420: Segment;
  /** Zeros, which all sessions share. */
  readonly zeros: Caches;
  readonly reach: number;

  private constructor(
    executor: Executor,
    parts: { first: Segment | undefined; steady: Segment; i420: Segment; zeros: Caches; trim: number; reach: number },
  ) {
    this.executor = executor;
    this.#first = parts.first;
    this.#steady = parts.steady;
    this.#i420 = parts.i420;
    this.zeros = parts.zeros;
    this.reach = parts.reach;
    this.#trim = parts.trim;
  }

  /** @throws MeshError MODEL_INVALID */
  static async load(executor: Executor, graphs: CachedGraphs): Promise<CachedDecoder> {
    const steady = await loadCompiled(executor, graphs.steady);
    const first = graphs.first === undefined ? undefined : await loadCompiled(executor, graphs.first);
    const [, , height, width] = graphs.steady.outputs.find(({ name }) => name === 'rgb')?.dims ?? [];
    const i420 = await loadRgbToI420(executor, Number(height), Number(width));
    const zeros: Record<string, TensorHandle> = {};
    for (const { name, dims } of graphs.steady.inputs) {
      if (!name.startsWith('cache_')) continue;
      const sizes = dims.map(Number);
      const count = sizes.reduce((product, size) => product * size, 1);
      zeros[name] = executor.upload(new Float32Array(count), 'float32', sizes);
    }
    const { trim, reach } = graphs;
    return new CachedDecoder(executor, { first, steady, i420, zeros, trim, reach });
  }

  /**
   * Decodes the latents of one chunk. The first chunk of a session has fewer frames than later ones: a first latent is one frame.
   * @param latents [T, C, H, W] flat @param before caches; undefined at the beginning of a session, `zeros` to begin in the middle of one
   * @returns planar I420 frames, and the caches after them, which the caller frees
   */
  async decode(
    latents: Float32Array,
    dims: readonly number[],
    before: Caches | undefined,
  ): Promise<{ readonly frames: Uint8Array[]; readonly caches: Caches }> {
    const [count = 0, ...rest] = dims;
    const each = latents.length / count;
    const cuts = before === undefined && this.#first !== undefined && count > 1 ? [0, 1, count] : [0, count];
    const used = cuts.slice(1).map((to, i) => {
      const from = cuts[i] as number;
      return this.executor.upload(latents.slice(from * each, to * each), 'float32', [to - from, ...rest]);
    });
    try {
      const { rgb, caches } = await this.run(used, before);
      used.push(...rgb);
      return { frames: await this.#frames(rgb, before === undefined), caches };
    } finally {
      this.executor.release(...used);
    }
  }

  /**
   * As `decode`, without a change of format.
   * @param parts [T, C, H, W] each; the first latent of a session alone when it has a graph of its own
   * @param caches undefined at the beginning of a session; `zeros` to begin in the middle of one
   * @returns frames as [frames, 3, h, w] in 0..1, one tensor per part; and the caches after them
   */
  async run(
    parts: readonly TensorHandle[],
    caches: Caches | undefined,
  ): Promise<{ readonly rgb: readonly TensorHandle[]; readonly caches: Caches }> {
    const rgb: TensorHandle[] = [];
    let state = caches ?? this.zeros;
    try {
      for (const [i, part] of parts.entries()) {
        const first = caches === undefined && i === 0 ? this.#first : undefined;
        const made = await this.#run(first ?? this.#steady, part, first === undefined ? state : {});
        rgb.push(made.rgb);
        // A doubling of time that the first graph skips begins with zeros, which sessions share.
        const next = { ...this.zeros, ...made.caches };
        if (state !== caches) this.free(state);
        state = next;
      }
    } catch (error) {
      if (state !== caches) this.free(state);
      this.executor.release(...rgb);
      throw error;
    }
    return { rgb, caches: state };
  }

  /** I420 frames of [frames, 3, h, w], without those that a session drops at its beginning. */
  async #frames(rgb: readonly TensorHandle[], atBeginning: boolean): Promise<Uint8Array[]> {
    const frames: Uint8Array[] = [];
    for (const part of rgb) {
      const { frames: made } = await this.executor.run(this.#i420, { inputs: { rgb: part }, outputs: ['frames'] });
      const bytes = (await this.executor.take(made as TensorHandle)) as Uint8Array;
      const each = bytes.length / (part.dims[0] as number);
      for (let at = 0; at < bytes.length; at += each) frames.push(bytes.slice(at, at + each));
    }
    return atBeginning ? frames.slice(this.#trim) : frames;
  }

  free(caches: Caches): void {
    const shared = new Set(Object.values(this.zeros));
    this.executor.release(...Object.values(caches).filter((handle) => !shared.has(handle)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.executor.release(...Object.values(this.zeros));
  }

  async #run(segment: Segment, latent: TensorHandle, caches: Caches): Promise<{ rgb: TensorHandle; caches: Caches }> {
    const outputs = segment.outputs.map(({ name }) => name);
    const made = await this.executor.run(segment, { inputs: { latent, ...caches }, outputs });
    const { rgb, ...next } = made;
    const named = Object.entries(next).map(([name, handle]) => [name.replace('next_', ''), handle]);
    return { rgb: rgb as TensorHandle, caches: Object.fromEntries(named) };
  }
}
