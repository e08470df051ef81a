import { balancedTier, MeshError, type QualityTier } from '@talkmesh/contracts';
import type { Executor } from '../executor/executor.js';
import { ChunkStates, REFERENCE_CHUNK } from '../model/chunk-states.js';
import type { GraphModel } from '../model/model.js';
import type { ReferenceCache, ReferenceFeatures } from '../model/reference.js';
import { ChunkGeneration, type PreviousChunk } from './chunk-generation.js';
import type { ChunkWork, Denoiser } from './denoiser.js';
import type { KeyValues } from './key-values.js';
import { NoiseSource } from './noise.js';
import type { GeneratedChunk, KnownChunk, ScoreSession, ScoreSessionOptions } from './score-engine.js';

/** What a session uses of its engine. */
export interface MatchedContext {
  readonly model: GraphModel;
  readonly executor: Executor;
  readonly denoiser: Denoiser;
  readonly references: ReferenceCache<ReferenceFeatures>;
}

interface ScoreState {
  /** One entry per denoising step. */
  readonly kv: readonly KeyValues[];
  /** The last `historySamples` samples before the next chunk, -1..1. */
  readonly history: Float32Array;
}

/**
 * The causal state of one session: for each step the keys and values of c_0 and of the previous chunk, and the audio
 * history. Its size is constant, however long the session lasts.
 */
export class MatchedScoreSession implements ScoreSession {
  readonly #engine: MatchedContext;
  readonly #reference: ReferenceFeatures;
  readonly #tier: QualityTier;
  readonly #noise: NoiseSource;
  readonly #states: ChunkStates<ScoreState>;
  readonly #generating = new Map<number, ChunkGeneration>();
  readonly #onDispose: (session: MatchedScoreSession) => void;
  #disposed = false;

  private constructor(
    engine: MatchedContext,
    reference: ReferenceFeatures,
    options: ScoreSessionOptions,
    onDispose: (session: MatchedScoreSession) => void,
  ) {
    this.#engine = engine;
    this.#reference = reference;
    this.#tier = options.tier ?? balancedTier(engine.model.manifest);
    this.#noise = new NoiseSource(options.seed);
    this.#states = new ChunkStates(options.keepChunks, (state) => {
      for (const kv of state.kv) kv.release();
    });
    this.#onDispose = onDispose;
  }

  /** Computes the keys and values of c_0 at every noise level. @throws MeshError AVATAR_NOT_FOUND */
  static async open(
    engine: MatchedContext,
    options: ScoreSessionOptions,
    onDispose: (session: MatchedScoreSession) => void,
  ): Promise<MatchedScoreSession> {
    const samples = engine.model.manifest.audio.historySamples;
    const { chunk, history } = options.from ?? { chunk: 0, history: new Float32Array(samples) };
    if (history.length !== samples || !Number.isSafeInteger(chunk) || chunk < 0)
      throw new RangeError(
        `a session begins at a chunk >= 0 with ${samples} samples of history, not at ${chunk} with ${history.length}`,
      );
    const reference = await engine.references.acquire(options.avatar);
    const session = new MatchedScoreSession(engine, reference, options, onDispose);
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
    const made = [...this.#generating.values()].flatMap((chunk) => chunk.keyValues());
    return [...new Set([...kept, ...made])].reduce((sum, kv) => sum + kv.bytes, 0);
  }

  get audioBytes(): number {
    return [...this.#states.values()].reduce((sum, state) => sum + state.history.byteLength, 0);
  }

  /** Several chunks can run at once: each waits, step by step, for the keys and values of the previous one. They end in order. */
  async generate(
    chunk: number,
    pcm: Int16Array,
    maxSteps = Number.POSITIVE_INFINITY,
  ): Promise<GeneratedChunk | undefined> {
    const { model, denoiser } = this.#engine;
    const previous = this.#previousOf(chunk);
    if (this.#generating.has(chunk))
      throw new MeshError('INTERNAL', `chunk ${chunk} is being generated already; wait for it or roll it back`);
    const audio = join(previous.history, pcm);
    const { length } = this.#tier.schedule;
    const steps = Math.max(0, Math.min(maxSteps, length));
    const history = audio.slice(audio.length - previous.history.length);
    const generation = new ChunkGeneration(previous, history, steps);
    this.#generating.set(chunk, generation);
    const first = (this.#states.after(REFERENCE_CHUNK) as ScoreState).kv;
    try {
      const noise = (): Float32Array => this.#noise.noise(chunk, 0, model.geometry.latentValues);
      const start = (): ChunkWork => denoiser.start(noise(), audio, this.#tier);
      const values = steps === 0 ? new Float32Array(0) : await generation.denoise(start(), first);
      if (values !== undefined && !values.every(Number.isFinite))
        throw new MeshError(
          'INTERNAL',
          `chunk ${chunk} has latents that are not finite; check the weights of the model`,
        );
      await generation.ready();
      if (values === undefined || generation.abandoned) return undefined;
      this.#states.put(chunk, { kv: generation.handOver(), history });
      return { values, steps };
    } catch (error) {
      generation.fail(error);
      if (generation.abandoned) return undefined;
      throw error;
    } finally {
      if (this.#generating.get(chunk) === generation) this.#generating.delete(chunk);
      generation.close();
    }
  }

  /** Generates it again: its keys and values at each noise level are those of its own passes. */
  async restore(chunk: number, { pcm, steps }: KnownChunk): Promise<void> {
    await this.generate(chunk, pcm, steps);
  }

  rollback(fromChunk: number): void {
    for (const [chunk, generation] of [...this.#generating]) {
      if (chunk < fromChunk) continue;
      generation.abandon();
      this.#generating.delete(chunk);
    }
    this.#states.rollback(fromChunk);
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.rollback(REFERENCE_CHUNK);
    this.#states.clear();
    this.#engine.references.release(this.#reference);
    this.#onDispose(this);
  }

  #previousOf(chunk: number): PreviousChunk {
    const previous = this.#generating.get(chunk - 1) ?? this.#states.after(chunk - 1);
    if (this.#disposed || previous === undefined)
      throw new MeshError(
        'INTERNAL',
        `chunk ${chunk} cannot be generated: the state before it was freed; open the session again`,
      );
    return previous;
  }

  /** Runs c_0, noised to each level of the tier's schedule, without context. */
  async #referenceKeyValues(): Promise<KeyValues[]> {
    const { denoiser, executor } = this.#engine;
    const c0 = (await executor.download(this.#reference.c0)) as Float32Array;
    const noise = this.#noise.noise(REFERENCE_CHUNK, 0, c0.length);
    const kv: KeyValues[] = [];
    for (const [step, level] of this.#tier.schedule.entries()) {
      const x = c0.map((value, i) => (1 - level) * value + level * (noise[i] as number));
      const work = denoiser.start(x, undefined, this.#tier);
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
