import { MeshError } from '@talkmesh/contracts';
import type { CachedDecoder, CachedDecoderSession } from '../decoder/cached-decoder.js';
import { ChunkStates } from '../model/chunk-states.js';
import type { CleanDenoiser } from '../score/clean-denoiser.js';
import { CleanSession, type CleanSessionOptions } from '../score/clean-session.js';
import type { LiveTalkModel } from './livetalk-model.js';
import { nextWindow } from './sound-window.js';

export interface LiveTalkChunk {
  /** [latentFrames, C, H, W] flat. */
  readonly latents: Float32Array;
  /** Planar I420. The first chunk has fewer frames than later ones. */
  readonly frames: readonly Uint8Array[];
}

/** One session: the sound before the next chunk, the context of the transformer, and the caches of the decoder. One `generate` at a time. */
export class LiveTalkSession {
  readonly #model: LiveTalkModel;
  readonly #score: CleanSession;
  readonly #decoder: CachedDecoderSession;
  readonly #windows: ChunkStates<Float32Array>;
  readonly #latentDims: readonly number[];
  /** Rises with each rollback and at the end, so that a chunk that was being generated notices. */
  #version = 0;

  constructor(model: LiveTalkModel, denoiser: CleanDenoiser, decoder: CachedDecoder, options: CleanSessionOptions) {
    const { latentFrames, channels, height, width } = denoiser.model.geometry;
    this.#model = model;
    this.#score = new CleanSession(denoiser, options);
    this.#decoder = decoder.openSession(options.keepChunks);
    this.#windows = new ChunkStates(options.keepChunks, () => undefined);
    this.#latentDims = [latentFrames, channels, height, width];
  }

  /** Bytes of keys, values and caches. */
  get stateBytes(): number {
    return this.#score.kvBytes + this.#decoder.stateBytes;
  }

  /**
   * Generates and decodes the next chunk.
   * @param pcm the chunk's samples at 16 kHz, -1..1
   * @returns undefined when the chunk was rolled back in the meantime
   * @throws RangeError for another number of samples; MeshError INTERNAL when the state before the chunk is not kept
   */
  async generate(chunk: number, pcm: Float32Array): Promise<LiveTalkChunk | undefined> {
    const before = this.#windows.after(chunk - 1);
    if (before === undefined && chunk > 0)
      throw new MeshError(
        'INTERNAL',
        `chunk ${chunk} cannot be generated: the sound before it is not kept; open the session again`,
      );
    const version = this.#version;
    const window = nextWindow(this.#model.sizes.sound, chunk, before, pcm);
    const sound = await this.#model.hear(chunk, window);
    if (this.#version !== version) return undefined;
    const latents = await this.#score.generate(chunk, sound);
    if (latents === undefined || this.#version !== version) return undefined;
    const frames = await this.#decoder.decode(chunk, latents, this.#latentDims);
    if (frames === undefined || this.#version !== version) return undefined;
    this.#windows.put(chunk, window);
    return { latents, frames };
  }

  /** Drops chunk `fromChunk` and all later chunks. */
  rollback(fromChunk: number): void {
    this.#version += 1;
    this.#score.rollback(fromChunk);
    this.#decoder.rollback(fromChunk);
    this.#windows.rollback(fromChunk);
  }

  dispose(): void {
    this.#version += 1;
    this.#score.dispose();
    this.#decoder.dispose();
    this.#windows.clear();
  }
}
