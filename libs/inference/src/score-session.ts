import { MeshError } from '@talkmesh/contracts';
import { ChunkStates, REFERENCE_CHUNK } from './chunk-states.js';
import type { TensorHandle } from './executor.js';
import { KeyValues } from './key-values.js';
import { NoiseSource } from './noise.js';
import type { ReferenceFeatures } from './reference.js';
import { audioTokens, latentDims, type ScoreContext } from './score-shared.js';

export interface ScoreSessionOptions {
  readonly avatar: string;
  /** Same seed, same speech: the same latents. */
  readonly seed: number;
  /** Chunks that can be rolled back. */
  readonly keepChunks: number;
}

export interface GeneratedChunk {
  /** [latentFrames, C, H, W], flat. */
  readonly values: Float32Array;
  /** Denoising steps taken. */
  readonly steps: number;
}

interface ScoreState {
  /** One per denoising step. */
  readonly kv: readonly KeyValues[];
  /** The last `historySamples` before the next chunk, -1..1. */
  readonly history: Float32Array;
}

/**
 * One call's causal state: per step the K/V of c_0 and of the previous chunk, and the audio history. Constant in size
 * however long the call lasts. One `generate` at a time.
 */
export class ScoreSession {
  readonly #engine: ScoreContext;
  readonly #reference: ReferenceFeatures;
  readonly #noise: NoiseSource;
  readonly #states: ChunkStates<ScoreState>;
  readonly #onDispose: () => void;
  #busyChunk: number | undefined;
  #abandoned = false;
  #disposed = false;

  private constructor(
    engine: ScoreContext,
    reference: ReferenceFeatures,
    options: ScoreSessionOptions,
    onDispose: () => void,
  ) {
    this.#engine = engine;
    this.#reference = reference;
    this.#noise = new NoiseSource(options.seed);
    this.#states = new ChunkStates(options.keepChunks, (state) => {
      for (const kv of state.kv) kv.release();
    });
    this.#onDispose = onDispose;
  }

  /** Computes c_0's keys and values at every noise level. @throws MeshError AVATAR_NOT_FOUND */
  static async open(engine: ScoreContext, options: ScoreSessionOptions, onDispose: () => void): Promise<ScoreSession> {
    const reference = await engine.references.acquire(options.avatar);
    const session = new ScoreSession(engine, reference, options, onDispose);
    try {
      const history = new Float32Array(engine.model.manifest.audio.historySamples);
      session.#states.put(REFERENCE_CHUNK, { kv: await session.#referenceKeyValues(), history });
    } catch (error) {
      session.dispose();
      throw error;
    }
    return session;
  }

  get kvBytes(): number {
    const live = new Set([...this.#states.values()].flatMap((state) => state.kv));
    return [...live].reduce((sum, kv) => sum + kv.bytes, 0);
  }

  get audioBytes(): number {
    return [...this.#states.values()].reduce((sum, state) => sum + state.history.byteLength, 0);
  }

  /**
   * Makes one chunk from its audio; the chunk before must be the last one made (or kept, after a rollback).
   * @param pcm the chunk's samples, 24 kHz @param maxSteps fewer steps when time is short: a coarser chunk
   * @returns undefined when the chunk was rolled back, or the session closed, meanwhile
   */
  async generate(
    chunk: number,
    pcm: Int16Array,
    maxSteps = Number.POSITIVE_INFINITY,
  ): Promise<GeneratedChunk | undefined> {
    if (this.#busyChunk !== undefined) throw new MeshError('INTERNAL', 'a session makes one chunk at a time');
    const previous = this.#states.after(chunk - 1);
    if (this.#disposed || previous === undefined)
      throw new MeshError('INTERNAL', `chunk ${chunk} cannot follow: the state before it is gone`);
    this.#busyChunk = chunk;
    this.#abandoned = false;
    const scope = new Scope(this.#engine);
    try {
      return await this.#denoise(scope, chunk, pcm, previous, maxSteps);
    } finally {
      this.#busyChunk = undefined;
      scope.release();
    }
  }

  /** Forgets chunk `fromChunk` and everything after it; one being made is abandoned. */
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

  async #denoise(
    scope: Scope,
    chunk: number,
    pcm: Int16Array,
    previous: ScoreState,
    maxSteps: number,
  ): Promise<GeneratedChunk | undefined> {
    const { executor, model, segments, shared } = this.#engine;
    const { schedule } = model.manifest.score;
    const first = (this.#states.after(REFERENCE_CHUNK) as ScoreState).kv;
    const audio = join(previous.history, pcm);
    const tokens = scope.own(await audioTokens(model, executor, segments.audio, audio));
    const steps = Math.max(1, Math.min(maxSteps, schedule.length));
    let x = scope.own(this.#upload(this.#noise.noise(chunk, 0, model.geometry.latentValues)));
    for (let step = 0; step < steps; step++) {
      if (this.#abandoned) return undefined;
      const context = await this.#context(first[step] as KeyValues, previous.kv[step] as KeyValues);
      const pass = await this.#pass(step, x, tokens, context);
      executor.release(...Object.values(context));
      scope.keep(pass);
      const way = (step === steps - 1 ? shared.stepToEnd : shared.stepToNext)[step] as TensorHandle;
      const inputs = { x, velocity: scope.own(pass.velocity), step: way };
      const { x_next: next } = await executor.run(segments.euler, { inputs, outputs: ['x_next'] });
      x = scope.own(next as TensorHandle);
    }
    const values = (await executor.download(x)) as Float32Array;
    if (this.#abandoned) return undefined;
    if (!values.every(Number.isFinite))
      throw new MeshError('INTERNAL', `chunk ${chunk} has latents that are not numbers; is the model damaged?`);
    // Steps left out keep the keys and values of the chunk before: the nearest in time at that noise level.
    const kv = [...scope.handOver(), ...previous.kv.slice(steps).map((older) => older.retain())];
    this.#states.put(chunk, { kv, history: audio.slice(audio.length - previous.history.length) });
    return { values, steps };
  }

  async #context(first: KeyValues, previous: KeyValues): Promise<Context> {
    const { executor, segments } = this.#engine;
    const inputs = {
      k_first: first.keys,
      k_previous: previous.keys,
      v_first: first.values,
      v_previous: previous.values,
    };
    return (await executor.run(segments.context, {
      inputs,
      outputs: ['k_context', 'v_context'],
    })) as unknown as Context;
  }

  async #pass(step: number, x: TensorHandle, audioTokens: TensorHandle, context: Context): Promise<Pass> {
    const { executor, segments, shared } = this.#engine;
    const modulation = shared.modulations[step] as TensorHandle;
    const { velocity, k_chunk, v_chunk } = await executor.run(segments.score, {
      inputs: { x, modulation, audio_tokens: audioTokens, ...context },
      outputs: ['velocity', 'k_chunk', 'v_chunk'],
    });
    const kv = new KeyValues(executor, k_chunk as TensorHandle, v_chunk as TensorHandle);
    return { velocity: velocity as TensorHandle, kv };
  }

  /** c_0 with noise added to each level of the schedule, seen with nothing before it. */
  async #referenceKeyValues(): Promise<KeyValues[]> {
    const { executor, model, shared } = this.#engine;
    const c0 = (await executor.download(this.#reference.c0)) as Float32Array;
    const noise = this.#noise.noise(REFERENCE_CHUNK, 0, c0.length);
    const nothing = { k_context: shared.nothing, v_context: shared.nothing };
    const kv: KeyValues[] = [];
    for (const [step, level] of model.manifest.score.schedule.entries()) {
      const x = this.#upload(c0.map((value, i) => (1 - level) * value + level * (noise[i] as number)));
      const pass = await this.#pass(step, x, shared.silence, nothing);
      executor.release(x, pass.velocity);
      kv.push(pass.kv);
    }
    return kv;
  }

  #upload(values: Float32Array): TensorHandle {
    return this.#engine.executor.upload(values, 'float32', latentDims(this.#engine.model.manifest));
  }
}

interface Context extends Record<string, TensorHandle> {
  readonly k_context: TensorHandle;
  readonly v_context: TensorHandle;
}

interface Pass {
  readonly velocity: TensorHandle;
  readonly kv: KeyValues;
}

/** Tensors of one `generate`: whatever way it ends, they are freed, except what was handed over. */
class Scope {
  readonly #engine: ScoreContext;
  readonly #handles: TensorHandle[] = [];
  #kv: KeyValues[] = [];

  constructor(engine: ScoreContext) {
    this.#engine = engine;
  }

  own(handle: TensorHandle): TensorHandle {
    this.#handles.push(handle);
    return handle;
  }

  keep(pass: Pass): void {
    this.#kv.push(pass.kv);
  }

  handOver(): KeyValues[] {
    const kv = this.#kv;
    this.#kv = [];
    return kv;
  }

  release(): void {
    for (const kv of this.#kv) kv.release();
    this.#engine.executor.release(...this.#handles);
  }
}

function join(history: Float32Array, pcm: Int16Array): Float32Array {
  const audio = new Float32Array(history.length + pcm.length);
  audio.set(history);
  for (let i = 0; i < pcm.length; i++) audio[history.length + i] = (pcm[i] as number) / 32768;
  return audio;
}
