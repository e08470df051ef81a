import { MeshError } from '@talkmesh/contracts';
import { openCheckpoint } from '../checkpoint/import-checkpoint.js';
import {
  compileTaehvDecoder,
  compileVaeDecoder,
  compileVaeEncoder,
  compileWav2Vec2,
  type LatentGrid,
  liveTalkDescription,
  loadCompiled,
  readWeight,
  soundValues,
  TAEHV_TRIM,
  TAEW_SIZES,
  type TaehvSizes,
  WAN_SIZES,
  WAN_VAE_SIZES,
  WAV2VEC2_BASE,
  type WanSizes,
  type WanVaeSizes,
  type Wav2Vec2Sizes,
  type Weights,
} from '../compile/index.js';
import { CachedDecoder, type CachedGraphs } from '../decoder/cached-decoder.js';
import type { Executor, Segment, TensorHandle } from '../executor/executor.js';
import { CleanDenoiser } from '../score/clean-denoiser.js';
import { shiftedLevels } from '../score/flow-schedule.js';
import { LiveTalkSession } from './livetalk-session.js';
import { chunkSound, encoderWindow, type SoundRule } from './sound-window.js';

/** Sizes of the networks and rules of the stream. */
export interface LiveTalkSizes {
  readonly score: WanSizes;
  readonly codec: WanVaeSizes;
  readonly smallDecoder: TaehvSizes;
  readonly audio: Wav2Vec2Sizes;
  readonly grid: LatentGrid;
  readonly prompt: { readonly tokens: number; readonly dim: number };
  readonly sound: SoundRule;
  readonly schedule: { readonly steps: number; readonly shift: number };
}

/** LiveTalk-1.3B: 512 x 512 pixels at 16 frames per second (GAIR-NLP/LiveTalk, configs/causal_inference.yaml); the window of 4 s is a choice of ours. */
export const LIVETALK_SIZES: LiveTalkSizes = {
  score: WAN_SIZES['t2v-1.3b'],
  codec: WAN_VAE_SIZES,
  smallDecoder: TAEW_SIZES,
  audio: WAV2VEC2_BASE,
  grid: { height: 64, width: 64 },
  prompt: { tokens: 512, dim: 4096 },
  sound: { latentFrames: 3, framesPerLatent: 4, samplesPerFrame: 1000, windowFrames: 64 },
  schedule: { steps: 4, shift: 5 },
};

export interface LiveTalkOptions {
  /** `wan`: the decoder that the model was trained with. `small`: TAEW2.1, which is faster and must have been imported. */
  readonly decoder: 'wan' | 'small';
  readonly sizes?: LiveTalkSizes;
}

export interface LiveTalkSessionOptions {
  readonly seed: number;
  /** Number of chunks that can be rolled back. */
  readonly keepChunks: number;
  /** RGB in 0..1, [3, 8 * grid.height, 8 * grid.width] flat. */
  readonly picture: Float32Array;
}

/** LiveTalk from imported files: a picture and sound in, I420 frames out, chunk by chunk. One for all sessions of an executor. */
export class LiveTalkModel implements AsyncDisposable {
  readonly executor: Executor;
  readonly sizes: LiveTalkSizes;
  readonly #denoiser: CleanDenoiser;
  readonly #decoder: CachedDecoder;
  readonly #encoder: Segment;
  readonly #audio: Segment;

  private constructor(
    executor: Executor,
    sizes: LiveTalkSizes,
    parts: { denoiser: CleanDenoiser; decoder: CachedDecoder; encoder: Segment; audio: Segment },
  ) {
    this.executor = executor;
    this.sizes = sizes;
    this.#denoiser = parts.denoiser;
    this.#decoder = parts.decoder;
    this.#encoder = parts.encoder;
    this.#audio = parts.audio;
  }

  /**
   * Compiles and loads all networks. The caller keeps ownership of the executor.
   * @param folder that `talkmesh models import` wrote
   * @throws MeshError MODEL_INVALID
   */
  static async load(executor: Executor, folder: string, options: LiveTalkOptions): Promise<LiveTalkModel> {
    const sizes = options.sizes ?? LIVETALK_SIZES;
    const { score, codec, audio, prompt, ...others } = await openCheckpoint(folder);
    if (score === undefined || codec === undefined || audio === undefined || prompt === undefined)
      throw new MeshError('MODEL_INVALID', `${folder} lacks networks of LiveTalk; import the model again`);
    const denoiser = await CleanDenoiser.load(executor, {
      dit: liveTalkDescription(sizes.score),
      weights: score,
      geometry: {
        ...sizes.grid,
        latentFrames: sizes.sound.latentFrames,
        channels: sizes.codec.latentChannels,
        given: sizes.codec.latentChannels + 1,
        condition: sizes.prompt,
        sound: sizes.sound.framesPerLatent * soundValues(sizes.audio),
      },
      levels: shiftedLevels(sizes.schedule.steps, sizes.schedule.shift),
      prompt: await readWeight(prompt, 'prompt_embeds'),
    });
    const graphs = decoderGraphs(folder, sizes, options.decoder, { codec, small: others['small-decoder'] });
    const decoder = await CachedDecoder.load(executor, graphs);
    const encoder = await loadCompiled(executor, compileVaeEncoder(sizes.codec, codec, sizes.grid));
    const heard = await loadCompiled(executor, compileWav2Vec2(sizes.audio, audio, encoderWindow(sizes.sound)));
    return new LiveTalkModel(executor, sizes, { denoiser, decoder, encoder, audio: heard });
  }

  /** Encodes the picture. @throws RangeError when it has another size */
  async openSession({ seed, keepChunks, picture }: LiveTalkSessionOptions): Promise<LiveTalkSession> {
    const { grid } = this.sizes;
    const [height, width] = [8 * grid.height, 8 * grid.width];
    if (picture.length !== 3 * height * width)
      throw new RangeError(`a picture has 3 x ${height} x ${width} values, not ${picture.length}`);
    const rgb = this.executor.upload(picture, 'float32', [1, 3, height, width]);
    const reference = await this.#once(this.#encoder, { rgb }, 'latent');
    return new LiveTalkSession(this, this.#denoiser, this.#decoder, { seed, keepChunks, reference });
  }

  /** The sound of a chunk from the window that ends with it, as the transformer takes it. */
  async hear(chunk: number, window: Float32Array): Promise<Float32Array> {
    const pcm = this.executor.upload(window, 'float32', [window.length]);
    const hidden = await this.#once(this.#audio, { pcm }, 'hidden');
    return chunkSound(this.sizes.sound, this.sizes.audio, chunk, hidden);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#denoiser[Symbol.asyncDispose]();
    await this.#decoder[Symbol.asyncDispose]();
  }

  async #once(segment: Segment, inputs: Record<string, TensorHandle>, output: string): Promise<Float32Array> {
    try {
      const made = await this.executor.run(segment, { inputs, outputs: [output] });
      return (await this.executor.take(made[output] as TensorHandle)) as Float32Array;
    } finally {
      this.executor.release(...Object.values(inputs));
    }
  }
}

function decoderGraphs(
  folder: string,
  sizes: LiveTalkSizes,
  kind: LiveTalkOptions['decoder'],
  weights: { readonly codec: Weights; readonly small: Weights | undefined },
): CachedGraphs {
  const { codec, grid, smallDecoder } = sizes;
  if (kind === 'wan') {
    const [first, steady] = (['first', 'steady'] as const).map((part) =>
      compileVaeDecoder(codec, weights.codec, grid, part),
    ) as [CachedGraphs['steady'], CachedGraphs['steady']];
    return { first, steady, trim: 0 };
  }
  if (weights.small === undefined)
    throw new MeshError(
      'MODEL_INVALID',
      `${folder} has no small decoder; import the model again with taew2_1.safetensors in its folder`,
    );
  return { first: undefined, steady: compileTaehvDecoder(smallDecoder, weights.small, grid), trim: TAEHV_TRIM };
}
