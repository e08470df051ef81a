import { MeshError, pictureSizes } from '@talkmesh/contracts';
import type { Executor, Segment, TensorHandle } from '../executor/executor.js';
import { EDIT_PREFIX } from '../kernels/kernels.js';
import { toLevels } from '../kernels/levels.js';
import type { AvatarPicture } from '../model/avatar-source.js';
import { ChunkStates, REFERENCE_CHUNK } from '../model/chunk-states.js';
import { type GraphModel, latentDims } from '../model/model.js';
import type { RgbImage } from '../model/png.js';
import { type Features, ownedTensors, ReferenceCache, referenceFeatures } from '../model/reference.js';
import { resizePicture } from '../model/resize-picture.js';
import { decoderStateBytes } from '../model/state-bytes.js';
import { PortraitFinder } from '../portrait/portrait.js';
import type {
  DecodedChunk,
  DecoderEngine,
  DecoderKind,
  DecoderSession,
  DecoderSessionOptions,
} from './decoder-engine.js';
import { chooseDecoder, type DecoderChoice, type RequestedPrecision } from './decoder-precision.js';
import { MeshDecoder } from './mesh-decoder.js';

/** What a decoder computed from an avatar's picture. */
export interface DecoderFeatures extends Features {
  readonly kind: 'graph' | 'mesh';
  readonly scale: number;
  readonly inputs: Readonly<Record<string, TensorHandle>>;
  /** Of the graph: what frames are composed of besides edits and flow: luma, chroma and corners; also `own_luma` and `own_chroma` when edits and flow must be enlarged. */
  readonly picture: Readonly<Record<string, TensorHandle>>;
}

interface DecoderSegments {
  readonly reference: Segment;
  readonly decoder: Segment;
  readonly composer: Segment | undefined;
  readonly enlarger: Segment | undefined;
  readonly mesh: MeshDecoder | undefined;
}

/** Animates a picture by the latents, with the decoder graph or the mesh decoder. */
export class PictureDecoderEngine implements DecoderEngine {
  /** The state of the decoder is the previous latent frame. */
  readonly replayDepth = 1;
  readonly model: GraphModel;
  readonly executor: Executor;
  readonly decoder: Segment;
  /** Which of the model's decoders is loaded. */
  readonly precision: DecoderChoice;
  /** Composes frames from edits and flow; undefined if the decoder graph outputs frames itself. */
  readonly composer: Segment | undefined;
  readonly finder: PortraitFinder | undefined;
  /** By the scale of the frames. */
  readonly #references: ReadonlyMap<number, ReferenceCache<DecoderFeatures>>;
  readonly #reference: Segment;
  readonly #enlarger: Segment | undefined;
  readonly #mesh: MeshDecoder | undefined;
  #meshIsWarm = false;
  readonly #sessions = new Set<PictureDecoderSession>();

  private constructor(
    model: GraphModel,
    executor: Executor,
    choice: DecoderChoice,
    segments: DecoderSegments,
    finder: PortraitFinder | undefined,
  ) {
    this.model = model;
    this.executor = executor;
    this.precision = choice;
    this.decoder = segments.decoder;
    this.composer = segments.composer;
    this.finder = finder;
    this.#reference = segments.reference;
    this.#enlarger = segments.enlarger;
    this.#mesh = segments.mesh;
    this.#references = new Map(
      pictureSizes(model.manifest).map(({ scale }) => [
        scale,
        new ReferenceCache((avatar) => this.#prepare(avatar, scale)),
      ]),
    );
  }

  /** @throws MeshError MODEL_INVALID, also when int8 is requested from a model without it */
  static async load(
    model: GraphModel,
    executor: Executor,
    requested: RequestedPrecision = 'auto',
  ): Promise<PictureDecoderEngine> {
    const choice = chooseDecoder(model, requested);
    const reference = await executor.load(model.path('reference'), 'reference');
    const decoder = await executor.load(choice.path, 'decoder');
    const whole = names(decoder.outputs).includes('frames');
    const composer = whole ? undefined : await executor.load({ kernel: 'compose-frames' }, 'compose');
    const isEnlarged = model.manifest.sizes !== undefined;
    if (isEnlarged && (whole || model.manifest.width !== model.manifest.height))
      throw new MeshError(
        'MODEL_INVALID',
        `${model.label} has larger sizes, which need square pictures and a decoder that gives edits and flow; remove "sizes" from its manifest`,
      );
    const enlarger = isEnlarged ? await executor.load({ kernel: 'enlarge-edits' }, 'enlarge') : undefined;
    const mesh = await MeshDecoder.load(model, executor);
    const finder = await PortraitFinder.load(model, executor);
    return new PictureDecoderEngine(model, executor, choice, { reference, decoder, composer, enlarger, mesh }, finder);
  }

  /**
   * Users' photographs, and avatars whose manifest says so, are animated by the mesh; all other pictures by the graph. The same picture gets the
   * same decoder on every worker.
   */
  async #prepare(avatar: string, scale: number): Promise<DecoderFeatures> {
    const { model, executor } = this;
    const { width, height } = model.manifest;
    const picture = await model.avatars.read(avatar);
    const points = await this.#meshPoints(avatar, picture);
    if (this.#mesh !== undefined && points !== undefined) {
      const rgb = resizePicture(picture.images, width * scale, height * scale);
      const scaled = points.map((place) => place * scale);
      const { inputs, owned } = await this.#mesh.fit(rgb, width * scale, scaled);
      const facts = { avatar, kind: 'mesh', scale, inputs, picture: {} } as const;
      const features = { ...facts, ...ownedTensors(executor, owned) };
      await this.#warmMesh(features);
      return features;
    }
    const { decoderInputs: inputs, ...shared } = await referenceFeatures(
      executor,
      this.#reference,
      model,
      avatar,
      picture,
    );
    const features = { ...shared, kind: 'graph', scale, inputs, picture: composed(inputs) } as const;
    return scale === 1 ? features : this.#enlarged(features, picture.images);
  }

  /** Features for frames that are composed of a larger picture. */
  #enlarged(features: DecoderFeatures, images: readonly RgbImage[]): DecoderFeatures {
    const { executor, model } = this;
    const size = model.manifest.width * features.scale;
    const { luma, chroma } = toLevels(resizePicture(images, size, size), size);
    const owned = {
      luma: executor.upload(luma, 'float32', [1, 1, size, size]),
      chroma: executor.upload(chroma, 'float32', [1, 2, size / 2, size / 2]),
    };
    const own = { own_luma: handle(features.picture, 'luma'), own_chroma: handle(features.picture, 'chroma') };
    const { bytes, free } = ownedTensors(executor, Object.values(owned));
    return {
      ...features,
      picture: { ...features.picture, ...owned, ...own },
      bytes: features.bytes + bytes,
      free: () => {
        features.free();
        free();
      },
    };
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

  /** [468, 3] pixels of the model's own size: the face's points for the mesh decoder; undefined for a picture that the graph animates. */
  async #meshPoints(avatar: string, { images, decoder }: AvatarPicture): Promise<Float32Array | undefined> {
    const { width, height } = this.model.manifest;
    if (decoder === 'graph') return undefined;
    const points =
      this.#mesh === undefined ? undefined : (await this.finder?.find(resizePicture(images, width, height)))?.points;
    if (decoder === 'mesh' && points === undefined)
      throw new MeshError(
        'MODEL_INVALID',
        `${this.#mesh === undefined ? 'there is no mesh decoder' : 'no photographed face was found'} for the picture of ${avatar} of ${this.model.label}; remove its "decoder" from avatars/avatars.json and write the manifest again`,
      );
    return points;
  }

  sessionBytes(keepChunks: number): number {
    return decoderStateBytes(this.model.manifest, { keepChunks }).total;
  }

  async openSession(options: DecoderSessionOptions): Promise<PictureDecoderSession> {
    const { avatar, scale = 1, keepChunks } = options;
    const references = this.#references.get(scale);
    if (references === undefined)
      throw new MeshError('ARGUMENT_INVALID', `${this.model.label} makes no frames of ${scale} times its size`);
    const reference = await references.acquire(avatar);
    const session = new PictureDecoderSession(this, reference, keepChunks, () => {
      references.release(reference);
      this.#sessions.delete(session);
    });
    this.#sessions.add(session);
    return session;
  }

  /** Decodes one chunk. @returns the frames of the whole chunk and the next state */
  async decode(
    latent: TensorHandle,
    state: TensorHandle,
    { kind, inputs: reference, picture }: DecoderFeatures,
  ): Promise<{ readonly frames: TensorHandle; readonly state: TensorHandle }> {
    const decoder = kind === 'mesh' && this.#mesh !== undefined ? this.#mesh.segment : this.decoder;
    const all = { latent, state, ...reference };
    const inputs = Object.fromEntries(Object.entries(all).filter(([name]) => names(decoder.inputs).includes(name)));
    const outputs = await this.executor.run(decoder, { inputs, outputs: names(decoder.outputs) });
    const { state_out: next, ...rest } = outputs;
    if (this.composer === undefined || 'frames' in rest)
      return { frames: handle(rest, 'frames'), state: handle(outputs, 'state_out') };
    const made = Object.values(rest);
    const parts: Record<string, TensorHandle> = { flow: handle(rest, 'flow'), ...picture };
    for (const [name, value] of Object.entries(rest)) if (name.startsWith(EDIT_PREFIX)) parts[name] = value;
    try {
      if (this.#enlarger !== undefined && 'own_luma' in picture) {
        const edits = Object.keys(parts).filter((name) => name.startsWith(EDIT_PREFIX));
        const outputs = [...edits, 'flow', 'corners'];
        const larger = await this.executor.run(this.#enlarger, { inputs: parts, outputs });
        made.push(...Object.values(larger));
        Object.assign(parts, larger);
      }
      const { frames } = await this.executor.run(this.composer, { inputs: parts, outputs: ['frames'] });
      return { frames: frames as TensorHandle, state: handle(outputs, 'state_out') };
    } catch (error) {
      if (next !== undefined) this.executor.release(next);
      throw error;
    } finally {
      this.executor.release(...made);
    }
  }

  stateBytes(): { readonly state: number; readonly reference: number } {
    const state = [...this.#sessions].reduce((sum, session) => sum + session.stateBytes, 0);
    const reference = [...this.#references.values()].reduce((sum, { bytes }) => sum + bytes, 0);
    return { state, reference };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of [...this.#sessions]) session.dispose();
    this.#mesh?.dispose();
    await this.executor.await(this.executor.record());
  }
}

/** The last latent frame of each of a session's last chunks. */
export class PictureDecoderSession implements DecoderSession {
  readonly #engine: PictureDecoderEngine;
  readonly #reference: DecoderFeatures;
  readonly #states: ChunkStates<TensorHandle>;
  readonly #onDispose: () => void;
  #busyChunk: number | undefined;
  #abandoned = false;
  #disposed = false;

  constructor(engine: PictureDecoderEngine, reference: DecoderFeatures, keepChunks: number, onDispose: () => void) {
    this.#engine = engine;
    this.#reference = reference;
    this.#onDispose = onDispose;
    this.#states = new ChunkStates(keepChunks, (state) => engine.executor.release(state));
    const dims = engine.model.manifest.decoder.stateShape;
    const zeros = new Float32Array(dims.reduce((product, dim) => product * dim, 1));
    this.#states.put(REFERENCE_CHUNK, engine.executor.upload(zeros, 'float32', dims));
  }

  get kind(): DecoderKind {
    return this.#reference.kind;
  }

  get stateBytes(): number {
    return [...this.#states.values()].reduce((sum, state) => sum + state.bytes, 0);
  }

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
}

/** The tensors that the compositor takes of a picture; none when the decoder graph gives frames. */
function composed(inputs: Readonly<Record<string, TensorHandle>>): Record<string, TensorHandle> {
  const entries = ['luma', 'chroma', 'corners'].map((name) => [name, inputs[`reference_${name}`]] as const);
  return Object.fromEntries(
    entries.filter((entry): entry is readonly [string, TensorHandle] => entry[1] !== undefined),
  );
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
