import { MeshError } from '@talkmesh/contracts';
import type { CleanDenoiser, CleanWork } from './clean-denoiser.js';
import { noised } from './flow-schedule.js';
import type { KeyValues } from './key-values.js';
import { NoiseSource } from './noise.js';

export interface CleanSessionOptions {
  /** The same seed, reference and sound give the same latents. */
  readonly seed: number;
  /** Number of chunks that can be rolled back. */
  readonly keepChunks: number;
  /** Noise level at the start of each step. Default: the model's. */
  readonly levels?: readonly number[];
  /** Latents of the reference picture, [C, H, W] flat; undefined for a model without given channels. */
  readonly reference: Float32Array | undefined;
  /** What another session made of the sink chunks: the first chunk to generate follows them. Default: it makes them itself. */
  readonly sink?: readonly KeyValues[];
  /** Chunks before this one, except those of the sink, are not there and not attended to. Default 0. */
  readonly begin?: number;
}

/**
 * The causal state of one session of a model whose chunks attend to finished chunks: their keys and values, one set per chunk that is still
 * seen or can be seen again after a rollback. Rolling back drops sets; nothing is overwritten, so no chunk runs again.
 */
export class CleanSession {
  readonly #denoiser: CleanDenoiser;
  readonly #noise: NoiseSource;
  readonly #keep: number;
  readonly #levels: readonly number[];
  readonly #reference: Float32Array | undefined;
  readonly #shared: readonly KeyValues[];
  readonly #kept = new Map<number, KeyValues>();
  #begin: number;
  /** Rises with each rollback and at the end, so that a chunk that was being generated notices. */
  #version = 0;
  #disposed = false;

  /** @throws MeshError MODEL_INVALID when the model needs a reference picture that is not given, or the other way round */
  constructor(denoiser: CleanDenoiser, options: CleanSessionOptions) {
    const { channels, given = 0, height, width } = denoiser.model.geometry;
    const needed = given === 0 ? undefined : channels * height * width;
    if (options.reference?.length !== needed)
      throw new MeshError(
        'MODEL_INVALID',
        `the reference latents have ${options.reference?.length ?? 'no'} values, and the model takes ${needed ?? 'none'}`,
      );
    this.#denoiser = denoiser;
    this.#noise = new NoiseSource(options.seed);
    this.#keep = options.keepChunks;
    this.#levels = options.levels ?? denoiser.model.levels;
    this.#reference = options.reference;
    this.#shared = (options.sink ?? []).map((kv) => kv.retain());
    this.#begin = options.begin ?? 0;
  }

  /** Bytes of keys and values, without those that another session made. */
  get kvBytes(): number {
    return [...new Set(this.#kept.values())].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Keys and values of the sink chunks, for other sessions; the caller releases them. */
  sink(): KeyValues[] {
    return this.#contextOf(this.#rule.sink)
      .slice(0, this.#rule.sink)
      .map((kv) => kv.retain());
  }

  /**
   * Generates the next chunk.
   * @param sound [latentFrames, values] flat; undefined for a model without sound
   * @param maxSteps limits the denoising steps, for a coarser chunk; at least 1
   * @returns latents [latentFrames, C, H, W] flat; undefined when the chunk was rolled back or the session was closed in the meantime
   * @throws MeshError INTERNAL when the chunks that it attends to are not there, or the latents are not finite
   */
  async generate(
    chunk: number,
    sound: Float32Array | undefined,
    maxSteps = Number.POSITIVE_INFINITY,
  ): Promise<Float32Array | undefined> {
    return this.#make(chunk, sound, async (work) => {
      const latents = await this.#denoise(chunk, work, maxSteps);
      if (latents.every(Number.isFinite)) return latents;
      throw new MeshError('INTERNAL', `chunk ${chunk} has latents that are not finite; check the model's weights`);
    });
  }

  /** Brings the state to that after a chunk whose latents are known. @throws MeshError INTERNAL as `generate` */
  async restore(chunk: number, sound: Float32Array | undefined, latents: Float32Array): Promise<void> {
    await this.#make(chunk, sound, async () => latents);
  }

  /** Skips a chunk: those after it attend to the one before instead. @throws MeshError INTERNAL when that is not there */
  hold(chunk: number): void {
    const before = this.#contextOf(chunk).at(-1);
    if (before === undefined || this.#begin === chunk) this.#begin = chunk + 1;
    else this.#put(chunk, before.retain());
  }

  /** Drops chunk `fromChunk` and all later chunks. */
  rollback(fromChunk: number): void {
    this.#version += 1;
    this.#drop((chunk) => chunk >= fromChunk);
  }

  /** Frees everything. Safe to call twice. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#version += 1;
    this.#drop(() => true);
    for (const kv of this.#shared) kv.release();
  }

  get #rule(): { readonly sink: number; readonly recent: number } {
    return this.#denoiser.model.dit.context as { sink: number; recent: number };
  }

  /** Keeps the keys and values of the latents that `latentsOf` gives. */
  async #make(
    chunk: number,
    sound: Float32Array | undefined,
    latentsOf: (work: CleanWork) => Promise<Float32Array>,
  ): Promise<Float32Array | undefined> {
    const [denoiser, version] = [this.#denoiser, this.#version];
    const context = this.#contextOf(chunk).map((kv) => kv.retain());
    try {
      const work = await denoiser.begin(chunk, { sound, given: this.#givenFor(chunk), context });
      try {
        const latents = await latentsOf(work);
        const kv = await work.keep(latents);
        if (this.#version !== version) {
          kv.release();
          return undefined;
        }
        this.#put(chunk, kv);
        return latents;
      } finally {
        work.release();
      }
    } finally {
      for (const kv of context) kv.release();
    }
  }

  async #denoise(chunk: number, work: CleanWork, maxSteps: number): Promise<Float32Array> {
    const { latentFrames, channels, height, width } = this.#denoiser.model.geometry;
    const count = latentFrames * channels * height * width;
    const taken = this.#levels.slice(0, maxSteps);
    let x = this.#noise.noise(chunk, 0, count);
    for (const [step, level] of taken.entries()) {
      this.#pin(chunk, x);
      const latents = await work.predict(step, level, x);
      const next = taken[step + 1];
      x = next === undefined ? latents : noised(latents, this.#noise.noise(chunk, step + 1, count), next);
    }
    this.#pin(chunk, x);
    return x;
  }

  /** The first latent frame of the session is the reference picture itself. */
  #pin(chunk: number, x: Float32Array): void {
    if (chunk === 0 && this.#reference !== undefined) x.set(this.#reference);
  }

  /** The reference in every latent frame, then a mask that is 0 for the first frame of the session and 1 for all others. */
  #givenFor(chunk: number): Float32Array | undefined {
    const reference = this.#reference;
    if (reference === undefined) return undefined;
    const { latentFrames, given = 0, height, width } = this.#denoiser.model.geometry;
    const each = given * height * width;
    const values = new Float32Array(latentFrames * each).fill(1);
    for (let frame = 0; frame < latentFrames; frame++) values.set(reference, frame * each);
    if (chunk === 0) values.fill(0, reference.length, each);
    return values;
  }

  #contextOf(chunk: number): KeyValues[] {
    const wanted = this.#seenBy(chunk);
    const found = wanted.flatMap((seen) => this.#shared[seen] ?? this.#kept.get(seen) ?? []);
    if (this.#disposed || found.length < wanted.length)
      throw new MeshError('INTERNAL', `chunk ${chunk} cannot be generated: a chunk that it attends to is not there`);
    return found;
  }

  /** Numbers of the chunks that a chunk attends to, oldest first. */
  #seenBy(chunk: number): number[] {
    const { sink, recent } = this.#rule;
    const oldest = Math.max(chunk - recent, this.#begin);
    return Array.from({ length: chunk }, (_, i) => i).filter((i) => i < sink || i >= oldest);
  }

  #put(chunk: number, kv: KeyValues): void {
    this.#kept.get(chunk)?.release();
    this.#kept.set(chunk, kv);
    const { sink, recent } = this.#rule;
    this.#drop((old) => old >= sink && old <= chunk - recent - this.#keep);
  }

  #drop(which: (chunk: number) => boolean): void {
    for (const [chunk, kv] of [...this.#kept]) {
      if (!which(chunk)) continue;
      this.#kept.delete(chunk);
      kv.release();
    }
  }
}
