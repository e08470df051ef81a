import { isOwnAvatar, MeshError } from '@talkmesh/contracts';
import type { Executor, Segment, TensorHandle } from '../executor/executor.js';
import { EDIT_PREFIX } from '../kernels/kernels.js';
import { ChunkStates, REFERENCE_CHUNK } from '../model/chunk-states.js';
import { latentDims, type Model } from '../model/model.js';
import { type Features, ReferenceCache, referenceFeatures } from '../model/reference.js';
import { PortraitFinder } from '../portrait/portrait.js';
import { chooseDecoder, type DecoderChoice, type RequestedPrecision } from './decoder-precision.js';
import { MeshDecoder } from './mesh-decoder.js';

/** How a picture is animated: by the model's decoder graph, or as a textured mesh. */
export type DecoderKind = 'graph' | 'mesh';

/** What a decoder computed from an avatar's picture. */
export interface DecoderFeatures extends Features {
  readonly kind: DecoderKind;
  readonly inputs: Readonly<Record<string, TensorHandle>>;
}

export interface DecoderSessionOptions {
  readonly avatar: string;
  /** Number of chunks that can be rolled back. */
  readonly keepChunks: number;
}

export interface DecodedChunk {
  /** Planar I420 frames in order. */
  readonly frames: readonly Uint8Array[];
  /** Number of chunks missing before this one; the decoder continued from an older state. */
  readonly missing: number;
}

interface DecoderSegments {
  readonly reference: Segment;
  readonly decoder: Segment;
  readonly composer: Segment | undefined;
  readonly mesh: MeshDecoder | undefined;
}

/** Decodes latents into I420 frames on one executor, with one causal state per session. */
export class DecoderEngine implements AsyncDisposable {
  readonly model: Model;
  readonly executor: Executor;
  readonly decoder: Segment;
  /** Which of the model's decoders is loaded. */
  readonly choice: DecoderChoice;
  /** Composes frames from edits and flow; undefined if the decoder graph outputs frames itself. */
  readonly composer: Segment | undefined;
  readonly references: ReferenceCache<DecoderFeatures>;
  /** Finds faces in users' pictures; undefined for a model without a portrait finder. */
  readonly finder: PortraitFinder | undefined;
  readonly #reference: Segment;
  readonly #mesh: MeshDecoder | undefined;
  #meshIsWarm = false;
  readonly #sessions = new Set<DecoderSession>();

  private constructor(
    model: Model,
    executor: Executor,
    choice: DecoderChoice,
    segments: DecoderSegments,
    finder: PortraitFinder | undefined,
  ) {
    this.model = model;
    this.executor = executor;
    this.choice = choice;
    this.decoder = segments.decoder;
    this.composer = segments.composer;
    this.finder = finder;
    this.#reference = segments.reference;
    this.#mesh = segments.mesh;
    this.references = new ReferenceCache(executor, (avatar) => this.#prepare(avatar));
  }

  /**
   * Loads the graphs. The caller keeps ownership of the executor.
   * @throws MeshError MODEL_INVALID, also when int8 is requested from a model without it
   */
  static async load(model: Model, executor: Executor, requested: RequestedPrecision = 'auto'): Promise<DecoderEngine> {
    const choice = chooseDecoder(model, requested);
    const reference = await executor.load(model.path('reference'), 'reference');
    const decoder = await executor.load(choice.path, 'decoder');
    const whole = names(decoder.outputs).includes('frames');
    const composer =
      whole && model.manifest.decoder.mesh === undefined
        ? undefined
        : await executor.load({ kernel: 'compose-frames' }, 'compose');
    const mesh = await MeshDecoder.load(model, executor);
    const finder = await PortraitFinder.load(model, executor);
    return new DecoderEngine(model, executor, choice, { reference, decoder, composer, mesh }, finder);
  }

  /** Photographs are animated by the mesh, all other pictures by the graph. The same picture gets the same decoder on every worker. */
  async #prepare(avatar: string): Promise<DecoderFeatures> {
    const { model, executor } = this;
    const picture = await model.avatars.read(avatar);
    const points = this.#mesh === undefined || !isOwnAvatar(avatar) ? undefined : await this.#face(picture.rgb);
    if (this.#mesh !== undefined && points !== undefined) {
      const { inputs, owned } = await this.#mesh.fit(picture.rgb, model.manifest.width, points);
      const features = { avatar, kind: 'mesh', inputs, handles: owned } as const;
      await this.#warmMesh(features);
      return features;
    }
    const { decoderInputs, handles } = await referenceFeatures(executor, this.#reference, model, avatar, picture);
    return { avatar, kind: 'graph', inputs: decoderInputs, handles };
  }

  /** The first chunk of a process takes several times as long, until its code is compiled: it is decoded here instead of in a session. */
  async #warmMesh(features: DecoderFeatures): Promise<void> {
    if (this.#meshIsWarm) return;
    this.#meshIsWarm = true;
    const { executor, model } = this;
    const { stateShape } = model.manifest.decoder;
    const zeros = new Float32Array(stateShape.reduce((product, dim) => product * dim, 1));
    const before = executor.upload(zeros, 'float32', stateShape);
    const still = executor.upload(new Float32Array(model.geometry.latentValues), 'float32', latentDims(model.manifest));
    try {
      const { frames, state } = await this.decode(still, before, features);
      executor.release(frames, state);
    } finally {
      executor.release(before, still);
    }
  }

  async #face(rgb: Uint8Array): Promise<Float32Array | undefined> {
    return (await this.finder?.find(rgb))?.points;
  }

  /** @throws MeshError AVATAR_NOT_FOUND */
  async openSession(options: DecoderSessionOptions): Promise<DecoderSession> {
    const reference = await this.references.acquire(options.avatar);
    const session = new DecoderSession(this, reference, options.keepChunks, () => this.#sessions.delete(session));
    this.#sessions.add(session);
    return session;
  }

  /** Decodes one chunk. @returns the frames of the whole chunk and the next state */
  async decode(
    latent: TensorHandle,
    state: TensorHandle,
    { kind, inputs: reference }: DecoderFeatures,
  ): Promise<{ readonly frames: TensorHandle; readonly state: TensorHandle }> {
    const decoder = kind === 'mesh' && this.#mesh !== undefined ? this.#mesh.segment : this.decoder;
    const all = { latent, state, ...reference };
    const inputs = Object.fromEntries(Object.entries(all).filter(([name]) => names(decoder.inputs).includes(name)));
    const outputs = await this.executor.run(decoder, { inputs, outputs: names(decoder.outputs) });
    const { state_out: next, ...rest } = outputs;
    if (this.composer === undefined || 'frames' in rest)
      return { frames: handle(rest, 'frames'), state: handle(outputs, 'state_out') };
    const parts: Record<string, TensorHandle> = { flow: handle(rest, 'flow') };
    for (const [name, value] of Object.entries(rest)) if (name.startsWith(EDIT_PREFIX)) parts[name] = value;
    for (const name of ['luma', 'chroma', 'corners']) parts[name] = handle(reference, `reference_${name}`);
    try {
      const { frames } = await this.executor.run(this.composer, { inputs: parts, outputs: ['frames'] });
      return { frames: frames as TensorHandle, state: handle(outputs, 'state_out') };
    } catch (error) {
      if (next !== undefined) this.executor.release(next);
      throw error;
    } finally {
      this.executor.release(...Object.values(rest));
    }
  }

  stateBytes(): { readonly state: number; readonly reference: number } {
    const state = [...this.#sessions].reduce((sum, session) => sum + session.stateBytes, 0);
    return { state, reference: this.references.bytes };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of [...this.#sessions]) session.dispose();
    this.#mesh?.dispose();
    await this.executor.await(this.executor.record());
  }
}

/**
 * The decoder states of one session after its last chunks, so that it can roll back. Only one `decode` may run at a
 * time.
 */
export class DecoderSession {
  readonly #engine: DecoderEngine;
  readonly #reference: DecoderFeatures;
  readonly #states: ChunkStates<TensorHandle>;
  readonly #onDispose: () => void;
  #busyChunk: number | undefined;
  #abandoned = false;
  #disposed = false;

  constructor(engine: DecoderEngine, reference: DecoderFeatures, keepChunks: number, onDispose: () => void) {
    this.#engine = engine;
    this.#reference = reference;
    this.#onDispose = onDispose;
    this.#states = new ChunkStates(keepChunks, (state) => engine.executor.release(state));
    const dims = engine.model.manifest.decoder.stateShape;
    const zeros = new Float32Array(dims.reduce((product, dim) => product * dim, 1));
    this.#states.put(REFERENCE_CHUNK, engine.executor.upload(zeros, 'float32', dims));
  }

  /** Which decoder animates the session's picture. */
  get kind(): DecoderKind {
    return this.#reference.kind;
  }

  get stateBytes(): number {
    return [...this.#states.values()].reduce((sum, state) => sum + state.bytes, 0);
  }

  /**
   * Decodes one chunk from the state after the newest kept chunk before it.
   * @returns undefined when the chunk was rolled back or the session was closed in the meantime
   * @throws MeshError MESSAGE_MALFORMED when there are not latentFrames * C * H * W values
   */
  async decode(chunk: number, values: Float32Array): Promise<DecodedChunk | undefined> {
    const { executor, model } = this.#engine;
    if (values.length !== model.geometry.latentValues)
      throw new MeshError(
        'MESSAGE_MALFORMED',
        `a chunk has ${model.geometry.latentValues} latents, not ${values.length}; check that sender and decoder use the same model`,
      );
    if (this.#busyChunk !== undefined)
      throw new MeshError('INTERNAL', 'a session decodes one chunk at a time; wait for the running decode');
    const before = this.#states.newestBefore(chunk);
    if (this.#disposed || before === undefined) throw new MeshError('INTERNAL', 'the session is closed; open it again');
    this.#busyChunk = chunk;
    this.#abandoned = false;
    const latent = executor.upload(values, 'float32', latentDims(model.manifest));
    try {
      const { frames, state } = await this.#engine.decode(latent, before.state, this.#reference);
      if (this.#abandoned) executor.release(frames);
      const bytes = this.#abandoned ? undefined : ((await executor.take(frames)) as Uint8Array);
      if (bytes === undefined || this.#abandoned) {
        executor.release(state);
        return undefined;
      }
      this.#states.put(chunk, state);
      return { frames: split(bytes, model.geometry.framesPerChunk), missing: chunk - 1 - before.chunk };
    } finally {
      this.#busyChunk = undefined;
      executor.release(latent);
    }
  }

  /** Drops chunk `fromChunk` and all later chunks; a chunk that is being decoded is abandoned. */
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

const names = (infos: Segment['inputs']): string[] => infos.map((info) => info.name);

function handle(handles: Readonly<Record<string, TensorHandle>>, name: string): TensorHandle {
  const found = handles[name];
  if (found === undefined) throw new MeshError('MODEL_INVALID', `the decoder has no ${name}; export the model again`);
  return found;
}

function split(frames: Uint8Array, count: number): Uint8Array[] {
  const bytes = frames.byteLength / count;
  return Array.from({ length: count }, (_, i) => frames.subarray(i * bytes, (i + 1) * bytes));
}
