import { MeshError } from '@talkmesh/contracts';
import type { Executor } from '../executor/executor.js';
import { ChunkStates, REFERENCE_CHUNK } from '../model/chunk-states.js';
import { latentDims, type VideoModel } from '../model/model.js';
import { loadVideoDecoder } from '../video/video-networks.js';
import type { CachedDecoder, Caches } from './cached-decoder.js';
import type { DecodedChunk, DecoderEngine, DecoderSession, DecoderSessionOptions } from './decoder-engine.js';
import type { RequestedPrecision } from './decoder-precision.js';

/** Decodes latents of a video model: every pixel comes from the network, so sessions share nothing but its weights. */
export class VideoDecoderEngine implements DecoderEngine {
  readonly model: VideoModel;
  readonly executor: Executor;
  readonly precision = { precision: 'float32', reason: 'the model has no other' } as const;
  readonly finder = undefined;
  readonly decoder: CachedDecoder;
  readonly #sessions = new Set<VideoDecoderSession>();

  private constructor(model: VideoModel, executor: Executor, decoder: CachedDecoder) {
    this.model = model;
    this.executor = executor;
    this.decoder = decoder;
  }

  /** @throws MeshError MODEL_INVALID, also when int8 is requested */
  static async load(
    model: VideoModel,
    executor: Executor,
    requested: RequestedPrecision = 'auto',
  ): Promise<VideoDecoderEngine> {
    if (requested === 'int8')
      throw new MeshError(
        'MODEL_INVALID',
        `${model.label} has no int8 decoder; set TALKMESH_DECODER_PRECISION to auto`,
      );
    return new VideoDecoderEngine(model, executor, await loadVideoDecoder(executor, model));
  }

  get replayDepth(): number {
    return this.decoder.reach;
  }

  /** One set of caches for each chunk, and one after the sink. */
  sessionBytes(keepChunks: number): number {
    const each = Object.values(this.decoder.zeros).reduce((sum, { bytes }) => sum + bytes, 0);
    return each * (Math.max(1, keepChunks) + 1);
  }

  async openSession({ avatar, keepChunks }: DecoderSessionOptions): Promise<VideoDecoderSession> {
    await this.model.avatars.read(avatar);
    const session = new VideoDecoderSession(this, keepChunks, () => this.#sessions.delete(session));
    this.#sessions.add(session);
    return session;
  }

  stateBytes(): { readonly state: number; readonly reference: number } {
    return { state: [...this.#sessions].reduce((sum, session) => sum + session.stateBytes, 0), reference: 0 };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of [...this.#sessions]) session.dispose();
    await this.decoder[Symbol.asyncDispose]();
    await this.executor.await(this.executor.record());
  }
}

/** The caches of one session after its last chunks. The sink chunks come with chunk 0, are decoded once and not shown. */
export class VideoDecoderSession implements DecoderSession {
  readonly kind = 'video';
  readonly #engine: VideoDecoderEngine;
  readonly #states: ChunkStates<Caches>;
  readonly #onDispose: () => void;
  #hasSink = false;
  #busyChunk: number | undefined;
  #abandoned = false;
  #disposed = false;

  constructor(engine: VideoDecoderEngine, keepChunks: number, onDispose: () => void) {
    this.#engine = engine;
    this.#onDispose = onDispose;
    this.#states = new ChunkStates(keepChunks, (caches) => engine.decoder.free(caches));
    this.#states.put(REFERENCE_CHUNK, engine.decoder.zeros);
  }

  get stateBytes(): number {
    const shared = new Set(Object.values(this.#engine.decoder.zeros));
    const handles = new Set([...this.#states.values()].flatMap((caches) => Object.values(caches)));
    return [...handles].reduce((sum, handle) => sum + (shared.has(handle) ? 0 : handle.bytes), 0);
  }

  async decode(chunk: number, values: Float32Array): Promise<DecodedChunk | undefined> {
    const { latentValues, sinkValues } = this.#engine.model.geometry;
    const sink = values.length - latentValues;
    if (sink !== 0 && (chunk !== 0 || sink !== sinkValues))
      throw new MeshError(
        'MESSAGE_MALFORMED',
        `a chunk has ${latentValues} latents, and ${sinkValues} more in chunk 0, not ${values.length}; check that sender and decoder use the same model`,
      );
    if (this.#busyChunk !== undefined)
      throw new MeshError('INTERNAL', 'a session decodes one chunk at a time; wait for the running decode');
    if (this.#disposed) throw new MeshError('INTERNAL', 'the session is closed; open it again');
    this.#busyChunk = chunk;
    this.#abandoned = false;
    try {
      if (sink > 0 && !this.#hasSink) await this.#decodeSink(values.subarray(0, sink));
      return this.#abandoned ? undefined : await this.#decode(chunk, values.subarray(sink));
    } finally {
      this.#busyChunk = undefined;
    }
  }

  rollback(fromChunk: number): void {
    if (this.#busyChunk !== undefined && this.#busyChunk >= fromChunk) this.#abandoned = true;
    this.#states.rollback(fromChunk);
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#abandoned = true;
    this.#states.clear();
    this.#onDispose();
  }

  async #decode(chunk: number, latents: Float32Array): Promise<DecodedChunk | undefined> {
    const { decoder, model } = this.#engine;
    const before = this.#states.newestBefore(chunk) as { chunk: number; state: Caches };
    const { frames, caches } = await decoder.decode(latents, latentDims(model.manifest), before.state);
    if (this.#abandoned) {
      decoder.free(caches);
      return undefined;
    }
    this.#states.put(chunk, caches);
    return { frames, missing: chunk - 1 - before.chunk };
  }

  async #decodeSink(latents: Float32Array): Promise<void> {
    const { decoder, model } = this.#engine;
    const { latentValues } = model.geometry;
    let state: Caches | undefined;
    for (let at = 0; at < latents.length && !this.#abandoned; at += latentValues) {
      const chunk = latents.subarray(at, at + latentValues);
      const { caches } = await decoder.decode(chunk, latentDims(model.manifest), state);
      if (state !== undefined) decoder.free(state);
      state = caches;
    }
    if (state === undefined) return;
    if (this.#abandoned) {
      decoder.free(state);
      return;
    }
    this.#states.put(REFERENCE_CHUNK, state);
    this.#hasSink = true;
  }
}
