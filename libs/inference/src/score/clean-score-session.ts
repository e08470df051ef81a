import { balancedTier, MeshError } from '@talkmesh/contracts';
import { fromPcm16 } from '@talkmesh/media';
import { ChunkStates, REFERENCE_CHUNK } from '../model/chunk-states.js';
import type { CleanReference, CleanScoreEngine } from './clean-score-engine.js';
import { CleanSession } from './clean-session.js';
import type { KeyValues } from './key-values.js';
import type { GeneratedChunk, KnownChunk, ScoreSession, ScoreSessionOptions } from './score-engine.js';

/** A session of a video model: its chunks follow the sink chunks of the avatar. One chunk at a time. */
export class CleanScoreSession implements ScoreSession {
  readonly #engine: CleanScoreEngine;
  readonly #reference: CleanReference;
  readonly #session: CleanSession;
  readonly #steps: number;
  /** The `historySamples` samples up to the end of each chunk, -1..1. */
  readonly #histories: ChunkStates<Float32Array>;
  readonly #onDispose: (session: CleanScoreSession) => void;
  /** Rises with each rollback and at the end, so that a chunk that was being generated notices. */
  #version = 0;
  #disposed = false;

  private constructor(
    engine: CleanScoreEngine,
    reference: CleanReference,
    sink: readonly KeyValues[],
    { seed, keepChunks, from, tier = balancedTier(engine.model.manifest) }: ScoreSessionOptions,
    onDispose: (session: CleanScoreSession) => void,
  ) {
    this.#engine = engine;
    this.#reference = reference;
    const begin = from === undefined || from.chunk === 0 ? 0 : sink.length + from.chunk;
    const levels = tier.schedule;
    this.#session = new CleanSession(engine.makers.denoiser, {
      ...{ seed, keepChunks, levels, sink, begin },
      reference: reference.picture,
    });
    this.#steps = levels.length;
    this.#histories = new ChunkStates(keepChunks, () => undefined);
    this.#onDispose = onDispose;
  }

  static async open(
    engine: CleanScoreEngine,
    options: ScoreSessionOptions,
    onDispose: (session: CleanScoreSession) => void,
  ): Promise<CleanScoreSession> {
    const samples = engine.model.manifest.audio.historySamples;
    const silence = new Float32Array(samples);
    const { chunk, history } = options.from ?? { chunk: 0, history: silence };
    if (history.length !== samples || !Number.isSafeInteger(chunk) || chunk < 0)
      throw new RangeError(
        `a session begins at a chunk >= 0 with ${samples} samples of history, not at ${chunk} with ${history.length}`,
      );
    const reference = await engine.references.acquire(options.avatar);
    let session: CleanScoreSession;
    try {
      session = new CleanScoreSession(engine, reference, await reference.sink.keyValues(), options, onDispose);
    } catch (error) {
      engine.references.release(reference);
      throw error;
    }
    session.#histories.put(REFERENCE_CHUNK, silence);
    session.#histories.put(chunk - 1, history);
    return session;
  }

  get kvBytes(): number {
    return this.#session.kvBytes;
  }

  get audioBytes(): number {
    return [...this.#histories.values()].reduce((sum, history) => sum + history.byteLength, 0);
  }

  async generate(
    chunk: number,
    pcm: Int16Array,
    maxSteps = Number.POSITIVE_INFINITY,
  ): Promise<GeneratedChunk | undefined> {
    const window = this.#windowOf(chunk, pcm);
    const at = this.#place(chunk);
    const steps = Math.max(0, Math.min(maxSteps, this.#steps));
    if (steps === 0) return this.#hold(chunk, window);
    const version = this.#version;
    const sound = await this.#engine.makers.sound.hear(at, window);
    const latents = this.#version === version ? await this.#session.generate(at, sound, steps) : undefined;
    if (latents === undefined) return undefined;
    this.#histories.put(chunk, this.#historyOf(window));
    return { values: chunk === 0 ? this.#withSink(latents) : latents, steps };
  }

  async restore(chunk: number, { values, pcm, steps }: KnownChunk): Promise<void> {
    const window = this.#windowOf(chunk, pcm);
    const at = this.#place(chunk);
    if (steps === 0) this.#hold(chunk, window);
    else {
      const { latentValues } = this.#engine.model.geometry;
      const sound = await this.#engine.makers.sound.hear(at, window);
      await this.#session.restore(at, sound, values.slice(values.length - latentValues));
      this.#histories.put(chunk, this.#historyOf(window));
    }
  }

  rollback(fromChunk: number): void {
    this.#version += 1;
    this.#session.rollback(this.#place(fromChunk));
    this.#histories.rollback(fromChunk);
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#version += 1;
    this.#session.dispose();
    this.#histories.clear();
    this.#engine.references.release(this.#reference);
    this.#onDispose(this);
  }

  #hold(chunk: number, window: Float32Array): GeneratedChunk {
    this.#session.hold(this.#place(chunk));
    this.#histories.put(chunk, this.#historyOf(window));
    return { values: new Float32Array(0), steps: 0 };
  }

  /** The number of a chunk counted from the first sink chunk on. */
  #place(chunk: number): number {
    return this.#reference.sink.length + chunk;
  }

  #windowOf(chunk: number, pcm: Int16Array): Float32Array {
    const { samplesPerChunk } = this.#engine.model.geometry;
    if (pcm.length !== samplesPerChunk)
      throw new RangeError(`chunk ${chunk} has ${pcm.length} samples, not ${samplesPerChunk}`);
    const before = this.#histories.after(chunk - 1);
    if (this.#disposed || before === undefined)
      throw new MeshError(
        'INTERNAL',
        `chunk ${chunk} cannot be generated: the state before it was freed; open the session again`,
      );
    const window = new Float32Array(before.length + pcm.length);
    window.set(before);
    window.set(fromPcm16(pcm), before.length);
    return window;
  }

  #historyOf(window: Float32Array): Float32Array {
    return window.slice(window.length - this.#engine.model.manifest.audio.historySamples);
  }

  #withSink(latents: Float32Array): Float32Array {
    const { latents: sinkLatents } = this.#reference.sink;
    const values = new Float32Array(sinkLatents.length + latents.length);
    values.set(sinkLatents);
    values.set(latents, sinkLatents.length);
    return values;
  }
}
