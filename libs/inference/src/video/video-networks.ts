/** Compiles and loads the networks of a video model. */
import { MeshError, qualityTiers } from '@talkmesh/contracts';
import { openCheckpoint } from '../checkpoint/import-checkpoint.js';
import { loadCompiled, readWeight, TAEHV_TRIM, taehvReach, vaeDecoderReach, type Weights } from '../compile/index.js';
import { CachedDecoder, type CachedGraphs } from '../decoder/cached-decoder.js';
import type { Executor, Segment, TensorHandle } from '../executor/executor.js';
import type { VideoModel } from '../model/model.js';
import { RankCleanDenoiser } from '../parallel/rank-clean-denoiser.js';
import type { RankOptions } from '../parallel/rank-groups.js';
import type { CleanDenoiser, CleanModel } from '../score/clean-denoiser.js';
import { WholeCleanDenoiser } from '../score/whole-clean-denoiser.js';
import { atEncoderRate, chunkSound, type SoundRule } from './sound-window.js';
import { decoderSegments, pictureGraph, soundGraph, soundRule } from './video-graphs.js';

const SMALL = 'small-decoder';

/** What the score model runs. */
export interface VideoMakers {
  readonly denoiser: CleanDenoiser;
  readonly sound: SoundEncoder;
  readonly picture: PictureEncoder;
}

/**
 * @param ranks run the score network instead of the executor
 * @throws MeshError MODEL_INVALID
 */
export async function loadMakers(executor: Executor, model: VideoModel, ranks?: RankOptions): Promise<VideoMakers> {
  const { score } = model.manifest;
  const weights = await networksOf(model, ['score', 'codec', 'audio', 'prompt']);
  const network: CleanModel = {
    dit: score.dit,
    weights: weights.score,
    geometry: model.ditGeometry,
    levels: score.schedule,
    moreLevels: qualityTiers(model.manifest).flatMap(({ schedule }) => schedule),
    prompt: await readWeight(weights.prompt, 'prompt_embeds'),
  };
  const heard = await loadCompiled(executor, soundGraph(model.manifest, weights.audio));
  const seen = await loadCompiled(executor, pictureGraph(model.manifest, weights.codec));
  return {
    // Last, since its ranks are threads that only the caller ends.
    denoiser: await (ranks === undefined
      ? WholeCleanDenoiser.load(executor, network)
      : RankCleanDenoiser.load(executor, network, ranks)),
    sound: new SoundEncoder(executor, model, heard),
    picture: new PictureEncoder(executor, model, seen),
  };
}

/** @throws MeshError MODEL_INVALID */
export async function loadVideoDecoder(executor: Executor, model: VideoModel): Promise<CachedDecoder> {
  return CachedDecoder.load(executor, await decoderGraphs(model));
}

/** The audio encoder. */
export class SoundEncoder {
  readonly rule: SoundRule;
  readonly #executor: Executor;
  readonly #model: VideoModel;
  readonly #segment: Segment;

  constructor(executor: Executor, model: VideoModel, segment: Segment) {
    this.rule = soundRule(model.manifest);
    this.#executor = executor;
    this.#model = model;
    this.#segment = segment;
  }

  /**
   * The sound of a chunk as the transformer takes it.
   * @param chunk from the first sink chunk on @param window the samples that end with the chunk, -1..1
   */
  async hear(chunk: number, window: Float32Array): Promise<Float32Array> {
    const pcm = atEncoderRate(this.rule, window);
    const uploaded = this.#executor.upload(pcm, 'float32', [pcm.length]);
    const hidden = await runFor(this.#executor, this.#segment, { pcm: uploaded }, 'hidden');
    return chunkSound(this.rule, this.#model.manifest.audio.encoder, chunk, hidden);
  }
}

/** The encoder of reference pictures. */
export class PictureEncoder {
  readonly #executor: Executor;
  readonly #model: VideoModel;
  readonly #segment: Segment;

  constructor(executor: Executor, model: VideoModel, segment: Segment) {
    this.#executor = executor;
    this.#model = model;
    this.#segment = segment;
  }

  /** @param rgb [height, width, 3] bytes @returns latents [C, H, W] flat */
  async encode(rgb: Uint8Array): Promise<Float32Array> {
    const { width, height } = this.#model.manifest;
    const places = width * height;
    const planes = new Float32Array(3 * places);
    for (let at = 0; at < places; at++)
      for (let colour = 0; colour < 3; colour++) planes[colour * places + at] = (rgb[3 * at + colour] as number) / 255;
    const uploaded = this.#executor.upload(planes, 'float32', [1, 3, height, width]);
    return runFor(this.#executor, this.#segment, { rgb: uploaded }, 'latent');
  }
}

/** Runs a segment for one output and frees its inputs. */
async function runFor(
  executor: Executor,
  segment: Segment,
  inputs: Record<string, TensorHandle>,
  output: string,
): Promise<Float32Array> {
  try {
    const made = await executor.run(segment, { inputs, outputs: [output] });
    return (await executor.take(made[output] as TensorHandle)) as Float32Array;
  } finally {
    executor.release(...Object.values(inputs));
  }
}

async function decoderGraphs(model: VideoModel): Promise<CachedGraphs> {
  const { codec, decoder, chunk } = model.manifest;
  const inChunks = (latents: number): number => Math.ceil(latents / chunk.latentFrames);
  const network = decoder.kind === 'codec' ? 'codec' : SMALL;
  const segments = decoderSegments(model.manifest, (await networksOf(model, [network]))[network] as Weights);
  if (decoder.kind === 'codec') return { ...segments, trim: 0, reach: inChunks(vaeDecoderReach(codec)) };
  return { ...segments, trim: TAEHV_TRIM, reach: inChunks(taehvReach(decoder.sizes)) };
}

/** @throws MeshError MODEL_INVALID when the folder lacks one of them */
async function networksOf<N extends string>(
  { folder }: VideoModel,
  wanted: readonly N[],
): Promise<Readonly<Record<N, Weights>>> {
  const found = await openCheckpoint(folder);
  const missing = wanted.filter((name) => found[name] === undefined);
  if (missing.length > 0)
    throw new MeshError('MODEL_INVALID', `${folder} lacks ${missing.join(' and ')}; import the model again`);
  return found as Readonly<Record<N, Weights>>;
}
