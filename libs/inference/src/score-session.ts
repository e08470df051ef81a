import { MeshError } from '@talkmesh/contracts';
import { ChunkStates, REFERENCE_CHUNK } from './chunk-states.js';
import { type Before, ChunkUnderWay } from './chunk-under-way.js';
import type { ChunkWork, Denoiser } from './denoiser.js';
import type { Executor } from './executor.js';
import type { KeyValues } from './key-values.js';
import type { Model } from './model.js';
import { NoiseSource } from './noise.js';
import type { ReferenceCache, ReferenceFeatures } from './reference.js';

export interface ScoreSessionOptions {
  readonly avatar: string;
  /** Same seed, same speech: the same latents. */
  readonly seed: number;
  /** Chunks that can be rolled back. */
  readonly keepChunks: number;
  /** Where a session begins that another worker had before; the chunk before it is taken to be c_0. Left out: at chunk 0. */
  readonly from?: {
    readonly chunk: number;
    /** The `historySamples` before that chunk, -1..1. */
    readonly history: Float32Array;
  };
}

export interface GeneratedChunk {
  /** [latentFrames, C, H, W], flat. */
  readonly values: Float32Array;
  /** Denoising steps taken. */
  readonly steps: number;
}

/** What a session needs of its worker. */
export interface ScoreContext {
  readonly model: Model;
  readonly executor: Executor;
  readonly denoiser: Denoiser;
  readonly references: ReferenceCache;
}

interface ScoreState {
  /** One per denoising step. */
  readonly kv: readonly KeyValues[];
  /** The last `historySamples` before the next chunk, -1..1. */
  readonly history: Float32Array;
}

/**
 * One call's causal state: per step the K/V of c_0 and of the previous chunk, and the audio history. Constant in size
 * however long the call lasts.
 */
export class ScoreSession {
  readonly #engine: ScoreContext;
  readonly #reference: ReferenceFeatures;
  readonly #noise: NoiseSource;
  readonly #states: ChunkStates<ScoreState>;
  readonly #underWay = new Map<number, ChunkUnderWay>();
  readonly #onDispose: (session: ScoreSession) => void;
  #disposed = false;

  private constructor(
    engine: ScoreContext,
    reference: ReferenceFeatures,
    options: ScoreSessionOptions,
    onDispose: (session: ScoreSession) => void,
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
  static async open(
    engine: ScoreContext,
    options: ScoreSessionOptions,
    onDispose: (session: ScoreSession) => void,
  ): Promise<ScoreSession> {
    const samples = engine.model.manifest.audio.historySamples;
    const { chunk, history } = options.from ?? { chunk: 0, history: new Float32Array(samples) };
    if (history.length !== samples || !Number.isSafeInteger(chunk) || chunk < 0)
      throw new RangeError(`a session begins at a chunk >= 0 with ${samples} samples before it`);
    const reference = await engine.references.acquire(options.avatar);
    const session = new ScoreSession(engine, reference, options, onDispose);
    try {
      const kv = await session.#referenceKeyValues();
      session.#states.put(REFERENCE_CHUNK, { kv, history });
      if (chunk > 0) session.#states.put(chunk - 1, { kv: kv.map((level) => level.retain()), history });
    } catch (error) {
      session.dispose();
      throw error;
    }
    return session;
  }

  get kvBytes(): number {
    const kept = [...this.#states.values()].flatMap((state) => state.kv);
    const made = [...this.#underWay.values()].flatMap((chunk) => chunk.keyValues());
    return [...new Set([...kept, ...made])].reduce((sum, kv) => sum + kv.bytes, 0);
  }

  get audioBytes(): number {
    return [...this.#states.values()].reduce((sum, state) => sum + state.history.byteLength, 0);
  }

  /**
   * Makes one chunk from its audio. The chunk before must be kept or under way: several may be, each waits step by step
   * for the keys and values of the one before it. They end in order.
   * @param pcm the chunk's samples, 24 kHz
   * @param maxSteps fewer steps when time is short: a coarser chunk; 0: a held chunk without values, which costs nothing
   * @returns undefined when the chunk was rolled back, or the session closed, meanwhile
   */
  async generate(
    chunk: number,
    pcm: Int16Array,
    maxSteps = Number.POSITIVE_INFINITY,
  ): Promise<GeneratedChunk | undefined> {
    const { model, denoiser } = this.#engine;
    const previous = this.#before(chunk);
    if (this.#underWay.has(chunk)) throw new MeshError('INTERNAL', `chunk ${chunk} is being made already`);
    const audio = join(previous.history, pcm);
    const { length } = model.manifest.score.schedule;
    const steps = Math.max(0, Math.min(maxSteps, length));
    const history = audio.slice(audio.length - previous.history.length);
    const making = new ChunkUnderWay(previous, history, steps);
    this.#underWay.set(chunk, making);
    const first = (this.#states.after(REFERENCE_CHUNK) as ScoreState).kv;
    try {
      const start = (): ChunkWork => denoiser.start(this.#noise.noise(chunk, 0, model.geometry.latentValues), audio);
      const values = steps === 0 ? new Float32Array(0) : await making.denoise(start(), first);
      if (values !== undefined && !values.every(Number.isFinite))
        throw new MeshError('INTERNAL', `chunk ${chunk} has latents that are not numbers; is the model damaged?`);
      await making.ready();
      if (values === undefined || making.abandoned) return undefined;
      this.#states.put(chunk, { kv: making.handOver(), history });
      return { values, steps };
    } catch (error) {
      making.fail(error);
      if (making.abandoned) return undefined;
      throw error;
    } finally {
      if (this.#underWay.get(chunk) === making) this.#underWay.delete(chunk);
      making.close();
    }
  }

  /** Forgets chunk `fromChunk` and everything after it; those being made are abandoned. */
  rollback(fromChunk: number): void {
    for (const [chunk, making] of [...this.#underWay]) {
      if (chunk < fromChunk) continue;
      making.abandon();
      this.#underWay.delete(chunk);
    }
    this.#states.rollback(fromChunk);
  }

  /** Frees everything. Safe to call twice. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.rollback(REFERENCE_CHUNK);
    this.#states.clear();
    this.#engine.references.release(this.#reference);
    this.#onDispose(this);
  }

  #before(chunk: number): Before {
    const previous = this.#underWay.get(chunk - 1) ?? this.#states.after(chunk - 1);
    if (this.#disposed || previous === undefined)
      throw new MeshError('INTERNAL', `chunk ${chunk} cannot follow: the state before it is gone`);
    return previous;
  }

  /** c_0 with noise added to each level of the schedule, seen with nothing before it. */
  async #referenceKeyValues(): Promise<KeyValues[]> {
    const { denoiser, executor, model } = this.#engine;
    const c0 = (await executor.download(this.#reference.c0)) as Float32Array;
    const noise = this.#noise.noise(REFERENCE_CHUNK, 0, c0.length);
    const kv: KeyValues[] = [];
    for (const [step, level] of model.manifest.score.schedule.entries()) {
      const x = c0.map((value, i) => (1 - level) * value + level * (noise[i] as number));
      const work = denoiser.start(x, undefined);
      try {
        kv.push(await work.pass(step, undefined, 'none'));
      } catch (error) {
        for (const made of kv) made.release();
        throw error;
      } finally {
        work.release();
      }
    }
    return kv;
  }
}

function join(history: Float32Array, pcm: Int16Array): Float32Array {
  const audio = new Float32Array(history.length + pcm.length);
  audio.set(history);
  for (let i = 0; i < pcm.length; i++) audio[history.length + i] = (pcm[i] as number) / 32768;
  return audio;
}
