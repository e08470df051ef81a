import { MeshError } from '@talkmesh/contracts';
import { ChunkStates, REFERENCE_CHUNK } from './chunk-states.js';
import type { Executor, Segment, TensorHandle } from './executor.js';
import type { Model } from './model.js';
import { ReferenceCache, type ReferenceFeatures } from './reference.js';
import { latentDims } from './score-shared.js';

export interface DecoderSessionOptions {
  readonly avatar: string;
  /** Chunks that can be rolled back. */
  readonly keepChunks: number;
}

export interface DecodedChunk {
  /** Planar I420 pictures in order. */
  readonly frames: readonly Uint8Array[];
  /** Chunks missing before this one: the decoder went on from an older state. */
  readonly missing: number;
}

/** The decoder half of a model on one executor: latents in, I420 frames out, one causal state per session. */
export class DecoderEngine implements AsyncDisposable {
  readonly model: Model;
  readonly executor: Executor;
  readonly decoder: Segment;
  readonly references: ReferenceCache;
  readonly #sessions = new Set<DecoderSession>();

  private constructor(model: Model, executor: Executor, decoder: Segment, reference: Segment) {
    this.model = model;
    this.executor = executor;
    this.decoder = decoder;
    this.references = new ReferenceCache(executor, reference, model);
  }

  /** Loads the graphs. The executor stays the caller's. @throws MeshError MODEL_INVALID */
  static async load(model: Model, executor: Executor): Promise<DecoderEngine> {
    const reference = await executor.load(model.path('reference'), 'reference');
    const decoder = await executor.load(model.path('decoder'), 'decoder');
    return new DecoderEngine(model, executor, decoder, reference);
  }

  /** @throws MeshError AVATAR_NOT_FOUND */
  async openSession(options: DecoderSessionOptions): Promise<DecoderSession> {
    const reference = await this.references.acquire(options.avatar);
    const session = new DecoderSession(this, reference, options.keepChunks, () => this.#sessions.delete(session));
    this.#sessions.add(session);
    return session;
  }

  stateBytes(): { readonly state: number; readonly reference: number } {
    const state = [...this.#sessions].reduce((sum, session) => sum + session.stateBytes, 0);
    return { state, reference: this.references.bytes };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of [...this.#sessions]) session.dispose();
    await this.executor.await(this.executor.record());
  }
}

/** One call's decoder state, kept for the last chunks so that a flush can go back. One `decode` at a time. */
export class DecoderSession {
  readonly #engine: DecoderEngine;
  readonly #reference: ReferenceFeatures;
  readonly #states: ChunkStates<TensorHandle>;
  readonly #onDispose: () => void;
  #busyChunk: number | undefined;
  #abandoned = false;
  #disposed = false;

  constructor(engine: DecoderEngine, reference: ReferenceFeatures, keepChunks: number, onDispose: () => void) {
    this.#engine = engine;
    this.#reference = reference;
    this.#onDispose = onDispose;
    this.#states = new ChunkStates(keepChunks, (state) => engine.executor.release(state));
    const dims = engine.model.manifest.decoder.stateShape;
    const zeros = new Float32Array(dims.reduce((product, dim) => product * dim, 1));
    this.#states.put(REFERENCE_CHUNK, engine.executor.upload(zeros, 'float32', dims));
  }

  get stateBytes(): number {
    return [...this.#states.values()].reduce((sum, state) => sum + state.bytes, 0);
  }

  /**
   * Decodes one chunk after the newest kept chunk before it.
   * @returns undefined when the chunk was rolled back, or the session closed, meanwhile
   * @throws MeshError MESSAGE_MALFORMED when there are not latentFrames * C * H * W values
   */
  async decode(chunk: number, values: Float32Array): Promise<DecodedChunk | undefined> {
    const { executor, model, decoder } = this.#engine;
    if (values.length !== model.geometry.latentValues)
      throw new MeshError(
        'MESSAGE_MALFORMED',
        `a chunk has ${model.geometry.latentValues} latents, not ${values.length}`,
      );
    if (this.#busyChunk !== undefined) throw new MeshError('INTERNAL', 'a session decodes one chunk at a time');
    const before = this.#states.newestBefore(chunk);
    if (this.#disposed || before === undefined) throw new MeshError('INTERNAL', 'the session is closed');
    this.#busyChunk = chunk;
    this.#abandoned = false;
    const latent = executor.upload(values, 'float32', latentDims(model.manifest));
    try {
      const inputs = { latent, state: before.state, ...this.#reference.decoderInputs };
      const outputs = await executor.run(decoder, { inputs, outputs: ['frames', 'state_out'] });
      const [frames, state] = [outputs['frames'] as TensorHandle, outputs['state_out'] as TensorHandle];
      const pictures = this.#abandoned ? undefined : ((await executor.download(frames)) as Uint8Array);
      executor.release(frames);
      if (pictures === undefined || this.#abandoned) {
        executor.release(state);
        return undefined;
      }
      this.#states.put(chunk, state);
      return { frames: split(pictures, model.geometry.framesPerChunk), missing: chunk - 1 - before.chunk };
    } finally {
      this.#busyChunk = undefined;
      executor.release(latent);
    }
  }

  /** Forgets chunk `fromChunk` and everything after it; one being decoded is abandoned. */
  rollback(fromChunk: number): void {
    if (this.#busyChunk !== undefined && this.#busyChunk >= fromChunk) this.#abandoned = true;
    this.#states.rollback(fromChunk);
  }

  /** Frees everything. Safe to call twice. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#abandoned = true;
    this.#states.clear();
    this.#engine.references.release(this.#reference);
    this.#onDispose();
  }
}

function split(pictures: Uint8Array, count: number): Uint8Array[] {
  const bytes = pictures.byteLength / count;
  return Array.from({ length: count }, (_, i) => pictures.subarray(i * bytes, (i + 1) * bytes));
}
