import { MeshError } from '@talkmesh/contracts';
import { type CompiledSegment, loadCompiled } from '../compile/index.js';
import type { Executor, Segment, TensorHandle } from '../executor/executor.js';
import { loadRgbToI420 } from '../executor/step-graphs.js';
import { ChunkStates, REFERENCE_CHUNK } from '../model/chunk-states.js';

/** Graphs of a video decoder that keeps caches: `latent` [T, C, H, W], `cache_<i>` -> `rgb` [frames, 3, h, w] in 0..1, `next_cache_<i>`. */
export interface CachedGraphs {
  /** Decodes the first latent of a session, when it needs another graph; without cache inputs. */
  readonly first: CompiledSegment | undefined;
  readonly steady: CompiledSegment;
  /** Frames at the beginning of a session that are dropped. */
  readonly trim: number;
}

type Caches = Readonly<Record<string, TensorHandle>>;

/** A video decoder with feature caches, such as Wan's or TAEHV's. One for all sessions. */
export class CachedDecoder implements AsyncDisposable {
  readonly executor: Executor;
  readonly #first: Segment | undefined;
  readonly #steady: Segment;
  readonly #trim: number;
  readonly #i420: Segment;
  /** Zeros, with which sessions begin. */
  readonly #begin: Caches;

  private constructor(
    executor: Executor,
    parts: { first: Segment | undefined; steady: Segment; i420: Segment; begin: Caches; trim: number },
  ) {
    this.executor = executor;
    this.#first = parts.first;
    this.#steady = parts.steady;
    this.#i420 = parts.i420;
    this.#begin = parts.begin;
    this.#trim = parts.trim;
  }

  /** @throws MeshError MODEL_INVALID */
  static async load(executor: Executor, graphs: CachedGraphs): Promise<CachedDecoder> {
    const steady = await loadCompiled(executor, graphs.steady);
    const first = graphs.first === undefined ? undefined : await loadCompiled(executor, graphs.first);
    const [, , height, width] = graphs.steady.outputs.find(({ name }) => name === 'rgb')?.dims ?? [];
    const i420 = await loadRgbToI420(executor, Number(height), Number(width));
    const begin: Record<string, TensorHandle> = {};
    for (const { name, dims } of graphs.steady.inputs) {
      if (!name.startsWith('cache_')) continue;
      const sizes = dims.map(Number);
      const count = sizes.reduce((product, size) => product * size, 1);
      begin[name] = executor.upload(new Float32Array(count), 'float32', sizes);
    }
    return new CachedDecoder(executor, { first, steady, i420, begin, trim: graphs.trim });
  }

  /** @param keepChunks number of chunks that can be rolled back; each keeps a set of caches */
  openSession(keepChunks: number): CachedDecoderSession {
    return new CachedDecoderSession(this, keepChunks);
  }

  /** Whether the first latent of a session is decoded apart from those after it. */
  get beginsApart(): boolean {
    return this.#first !== undefined;
  }

  /**
   * Decodes the latents of one chunk.
   * @param parts [T, C, H, W] each; the first latent of a session alone when `beginsApart`
   * @param caches undefined at the beginning of a session
   * @returns frames as [frames, 3, h, w] in 0..1, one tensor per part; and the caches after them
   */
  async decode(
    parts: readonly TensorHandle[],
    caches: Caches | undefined,
  ): Promise<{ readonly rgb: readonly TensorHandle[]; readonly caches: Caches }> {
    const rgb: TensorHandle[] = [];
    let state = caches ?? this.#begin;
    try {
      for (const part of parts) {
        const first = state === this.#begin ? this.#first : undefined;
        const made = await this.#run(first ?? this.#steady, part, first === undefined ? state : {});
        rgb.push(made.rgb);
        // A doubling of time that the first graph skips begins with zeros, which sessions share.
        const next = { ...this.#begin, ...made.caches };
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
  async frames(rgb: readonly TensorHandle[], atBeginning: boolean): Promise<Uint8Array[]> {
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
    const shared = new Set(Object.values(this.#begin));
    this.executor.release(...Object.values(caches).filter((handle) => !shared.has(handle)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.executor.release(...Object.values(this.#begin));
  }

  async #run(segment: Segment, latent: TensorHandle, caches: Caches): Promise<{ rgb: TensorHandle; caches: Caches }> {
    const outputs = segment.outputs.map(({ name }) => name);
    const made = await this.executor.run(segment, { inputs: { latent, ...caches }, outputs });
    const { rgb, ...next } = made;
    const named = Object.entries(next).map(([name, handle]) => [name.replace('next_', ''), handle]);
    return { rgb: rgb as TensorHandle, caches: Object.fromEntries(named) };
  }
}

/** The caches of one session after its last chunks, so that it can roll back. One `decode` at a time. */
export class CachedDecoderSession {
  readonly #decoder: CachedDecoder;
  readonly #states: ChunkStates<Caches>;
  #version = 0;

  constructor(decoder: CachedDecoder, keepChunks: number) {
    this.#decoder = decoder;
    this.#states = new ChunkStates(keepChunks, (caches) => decoder.free(caches));
  }

  get stateBytes(): number {
    const handles = [...this.#states.values()].flatMap((caches) => Object.values(caches));
    return [...new Set(handles)].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /**
   * Decodes the next chunk. The first chunk of a session has fewer frames than later ones: a first latent is one frame.
   * @param latents [T, C, H, W] flat
   * @returns planar I420 frames; undefined when the chunk was rolled back in the meantime
   * @throws MeshError INTERNAL when the state before the chunk is not kept
   */
  async decode(chunk: number, latents: Float32Array, dims: readonly number[]): Promise<Uint8Array[] | undefined> {
    const [decoder, version] = [this.#decoder, this.#version];
    const { executor } = decoder;
    const before = this.#states.after(chunk - 1);
    if (before === undefined && chunk > 0)
      throw new MeshError(
        'INTERNAL',
        `chunk ${chunk} cannot be decoded: the state before it is not kept; open the session again`,
      );
    const [count = 0, ...rest] = dims;
    const each = latents.length / count;
    const cuts = before === undefined && decoder.beginsApart && count > 1 ? [0, 1, count] : [0, count];
    const used = cuts.slice(1).map((to, i) => {
      const from = cuts[i] as number;
      return executor.upload(latents.slice(from * each, to * each), 'float32', [to - from, ...rest]);
    });
    try {
      const made = await decoder.decode(used, before);
      used.push(...made.rgb);
      const frames = await decoder.frames(made.rgb, before === undefined);
      if (this.#version !== version) {
        decoder.free(made.caches);
        return undefined;
      }
      this.#states.put(chunk, made.caches);
      return frames;
    } finally {
      executor.release(...used);
    }
  }

  /** Drops chunk `fromChunk` and all later chunks. */
  rollback(fromChunk: number): void {
    this.#version += 1;
    this.#states.rollback(Math.max(fromChunk, REFERENCE_CHUNK + 1));
  }

  dispose(): void {
    this.#version += 1;
    this.#states.clear();
  }
}
