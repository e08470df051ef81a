/** A video model in one process, as its published code runs it: sound in, frames out, from the first sink chunk on. Tests compare the mesh with it. */
import type { CachedDecoder, Caches } from '../decoder/cached-decoder.js';
import type { Executor } from '../executor/executor.js';
import { latentDims, type VideoModel } from '../model/model.js';
import { CleanSession } from '../score/clean-session.js';
import { framesOf, nextWindow } from '../video/sound-window.js';
import { loadMakers, loadVideoDecoder, type VideoMakers } from '../video/video-networks.js';

export interface VideoChunk {
  /** [latentFrames, C, H, W] flat. */
  readonly latents: Float32Array;
  /** Planar I420, none for a held chunk. The first chunk has fewer frames than later ones. */
  readonly frames: readonly Uint8Array[];
}

export class WholeVideo implements AsyncDisposable {
  readonly #model: VideoModel;
  readonly #makers: VideoMakers;
  readonly #decoder: CachedDecoder;
  readonly #session: CleanSession;
  #window: Float32Array | undefined;
  #caches: Caches | undefined;
  #chunk = 0;

  private constructor(model: VideoModel, makers: VideoMakers, decoder: CachedDecoder, session: CleanSession) {
    this.#model = model;
    this.#makers = makers;
    this.#decoder = decoder;
    this.#session = session;
  }

  static async open(executor: Executor, model: VideoModel, avatar: string, seed: number): Promise<WholeVideo> {
    const makers = await loadMakers(executor, model);
    const reference = await makers.picture.encode(model.avatarImage(avatar));
    const session = new CleanSession(makers.denoiser, { seed, keepChunks: 1, reference });
    return new WholeVideo(model, makers, await loadVideoDecoder(executor, model), session);
  }

  /** Samples at 24 kHz that the next chunk takes. */
  get samples(): number {
    const { rule } = this.#makers.sound;
    return framesOf(rule, this.#chunk) * rule.samplesPerFrame;
  }

  /** The sink chunks: silence. */
  async sink(): Promise<VideoChunk[]> {
    const made: VideoChunk[] = [];
    while (made.length < (this.#model.manifest.score.dit.context?.sink ?? 0))
      made.push(await this.next(new Float32Array(this.samples)));
    return made;
  }

  /**
   * @param pcm the next chunk's samples, -1..1
   * @param steps denoising steps of a chunk that was short of time; 0: it was held
   * @param shown false: the decoder held it
   */
  async next(pcm: Float32Array, { steps = Number.POSITIVE_INFINITY, shown = true } = {}): Promise<VideoChunk> {
    const chunk = this.#chunk++;
    const { sound } = this.#makers;
    this.#window = nextWindow(sound.rule, chunk, this.#window, pcm);
    if (steps === 0) {
      this.#session.hold(chunk);
      return { latents: new Float32Array(0), frames: [] };
    }
    const latents = await this.#session.generate(chunk, await sound.hear(chunk, this.#window), steps);
    if (latents === undefined) throw new Error(`chunk ${chunk} was not generated`);
    if (!shown) return { latents, frames: [] };
    const { frames, caches } = await this.#decoder.decode(latents, latentDims(this.#model.manifest), this.#caches);
    if (this.#caches !== undefined) this.#decoder.free(this.#caches);
    this.#caches = caches;
    return { latents, frames };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#session.dispose();
    if (this.#caches !== undefined) this.#decoder.free(this.#caches);
    await this.#makers.denoiser[Symbol.asyncDispose]();
    await this.#decoder[Symbol.asyncDispose]();
  }
}
