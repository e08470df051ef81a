import { framesOf, nextWindow } from '../video/sound-window.js';
import type { VideoMakers } from '../video/video-networks.js';
import { CleanSession } from './clean-session.js';
import type { KeyValues } from './key-values.js';

/** The sink of an avatar is the same for all of its sessions, whatever their tier. */
export const SINK_SEED = 0;

/** The chunks of silence that precede every session of an avatar and that no one sees: their latents, and the keys and values of them. */
export class AvatarSink {
  /** One chunk after the other. */
  readonly latents: Float32Array;
  /** Bytes of latents, keys and values. */
  readonly bytes: number;
  readonly #makers: VideoMakers;
  readonly #picture: Float32Array;
  #kept: readonly KeyValues[];
  #renewed: Promise<void> | undefined;

  private constructor(makers: VideoMakers, picture: Float32Array, latents: Float32Array, kept: readonly KeyValues[]) {
    this.latents = latents;
    this.bytes = kept.reduce((sum, { bytes }) => sum + bytes, latents.byteLength);
    this.#makers = makers;
    this.#picture = picture;
    this.#kept = kept;
  }

  /** @param picture latents of the avatar's picture, [C, H, W] flat */
  static async make(makers: VideoMakers, picture: Float32Array): Promise<AvatarSink> {
    const made: Float32Array[] = [];
    const kept = await fromSilence(makers, picture, async (session, chunk, sound) => {
      made.push((await session.generate(chunk, sound)) as Float32Array);
    });
    return new AvatarSink(makers, picture, Float32Array.from(made.flatMap((values) => [...values])), kept);
  }

  /** Number of chunks. */
  get length(): number {
    return this.#kept.length;
  }

  /** Keys and values of the chunks, made again when a rank has lost them. The caller retains what it keeps. */
  async keyValues(): Promise<readonly KeyValues[]> {
    if (await this.#makers.denoiser.holds(this.#kept)) return this.#kept;
    this.#renewed ??= this.#renew().finally(() => {
      this.#renewed = undefined;
    });
    await this.#renewed;
    return this.#kept;
  }

  free(): void {
    for (const kv of this.#kept) kv.release();
  }

  async #renew(): Promise<void> {
    const each = this.latents.length / this.length;
    const kept = await fromSilence(this.#makers, this.#picture, (session, chunk, sound) =>
      session.restore(chunk, sound, this.latents.slice(chunk * each, (chunk + 1) * each)),
    );
    this.free();
    this.#kept = kept;
  }
}

/** Makes each sink chunk with the sound of silence. @returns their keys and values; the caller releases them */
async function fromSilence(
  { denoiser, sound }: VideoMakers,
  picture: Float32Array,
  make: (session: CleanSession, chunk: number, sound: Float32Array) => Promise<void>,
): Promise<readonly KeyValues[]> {
  const { rule } = sound;
  const { sink: count } = denoiser.model.dit.context as { sink: number };
  const session = new CleanSession(denoiser, { seed: SINK_SEED, keepChunks: 1, reference: picture });
  try {
    let window: Float32Array | undefined;
    for (let chunk = 0; chunk < count; chunk++) {
      window = nextWindow(rule, chunk, window, new Float32Array(framesOf(rule, chunk) * rule.samplesPerFrame));
      await make(session, chunk, await sound.hear(chunk, window));
    }
    return session.sink();
  } finally {
    session.dispose();
  }
}
