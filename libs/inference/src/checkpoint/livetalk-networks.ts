import {
  compileTaehvDecoder,
  compileVaeDecoder,
  compileVaeEncoder,
  compileWav2Vec2,
  expectedTensors,
  type LatentGrid,
  liveTalkDescription,
  neededTensors,
  soundValues,
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
import type { WantedNetwork } from './find-networks.js';

/** Sizes of the networks and of the stream. */
export interface LiveTalkSizes {
  readonly score: WanSizes;
  readonly codec: WanVaeSizes;
  readonly smallDecoder: TaehvSizes;
  readonly audio: Wav2Vec2Sizes;
  /** Rows and columns of latents; a latent is `scale` pixels high and wide. */
  readonly grid: LatentGrid;
  readonly scale: number;
  readonly prompt: { readonly tokens: number; readonly dim: number };
  readonly fps: number;
  readonly chunk: { readonly latentFrames: number; readonly temporalCompression: number };
  /** What the audio encoder hears at once, and at which rate. The published code encodes whole clips; a stream cannot. */
  readonly hearing: { readonly frames: number; readonly sampleRateHz: number };
  readonly schedule: { readonly steps: number; readonly shift: number; readonly fastSteps?: number };
}

/** LiveTalk-1.3B: 512 x 512 pixels at 16 frames per second (GAIR-NLP/LiveTalk, configs/causal_inference.yaml); that it hears 4 s is a choice of ours. */
export const LIVETALK_SIZES: LiveTalkSizes = {
  score: WAN_SIZES['t2v-1.3b'],
  codec: WAN_VAE_SIZES,
  smallDecoder: TAEW_SIZES,
  audio: WAV2VEC2_BASE,
  grid: { height: 64, width: 64 },
  scale: 8,
  prompt: { tokens: 512, dim: 4096 },
  fps: 16,
  chunk: { latentFrames: 3, temporalCompression: 4 },
  hearing: { frames: 64, sampleRateHz: 16_000 },
  schedule: { steps: 4, shift: 5, fastSteps: 2 },
};

/** The files that LiveTalk-1.3B needs (GAIR-NLP/LiveTalk, README.md), and the small decoder that it can use instead of Wan's. */
export function liveTalkNetworks(sizes: LiveTalkSizes = LIVETALK_SIZES): WantedNetwork[] {
  const { grid, prompt, hearing, fps, chunk } = sizes;
  const codec = (weights: Weights): void => {
    compileVaeEncoder(sizes.codec, weights, grid);
    for (const part of ['first', 'steady'] as const) compileVaeDecoder(sizes.codec, weights, grid, part);
  };
  const window = { samples: (hearing.frames * hearing.sampleRateHz) / fps, frames: hearing.frames, kept: 1 };
  const audio = neededTensors((weights) => compileWav2Vec2(sizes.audio, weights, window));
  const geometry = {
    ...grid,
    latentFrames: chunk.latentFrames,
    channels: sizes.codec.latentChannels,
    given: sizes.codec.latentChannels + 1,
    condition: prompt,
    sound: chunk.temporalCompression * soundValues(sizes.audio),
  };
  const tensors = expectedTensors(liveTalkDescription(sizes.score), geometry, sizes.codec.latentChannels);
  return [
    {
      name: 'score',
      about: 'model.safetensors of GAIR/LiveTalk-1.3B-V0.1',
      anchor: 'patch_embedding.weight',
      variants: [new Map([...tensors].map(([name, { dims }]) => [name, dims]))],
    },
    {
      name: 'codec',
      about: 'Wan2.1_VAE.pth of Wan-AI/Wan2.1-T2V-1.3B',
      anchor: 'decoder.conv1.weight',
      variants: [neededTensors(codec)],
    },
    {
      name: 'audio',
      about: 'the weights of facebook/wav2vec2-base-960h, as .safetensors',
      anchor: 'feature_projection.projection.weight',
      variants: [audio, renamed(audio)],
    },
    {
      name: 'prompt',
      about: "a .safetensors file with umT5-XXL's embedding of your prompt as the tensor prompt_embeds",
      anchor: 'prompt_embeds',
      variants: [new Map([['prompt_embeds', [prompt.tokens, prompt.dim]]])],
    },
    {
      name: 'small-decoder',
      about: 'taew2_1.safetensors of madebyollin/taehv',
      anchor: 'decoder.22.weight',
      variants: [neededTensors((weights) => compileTaehvDecoder(sizes.smallDecoder, weights, grid))],
      optional: true,
      moreRows: true,
    },
  ];
}

/** PyTorch 2 stores the direction and length of a weight under other names. */
function renamed(tensors: ReadonlyMap<string, readonly number[]>): ReadonlyMap<string, readonly number[]> {
  const names = [...tensors].map(([name, dims]) => {
    const newer = name.replace(/\.weight_g$/, '.parametrizations.weight.original0');
    return [newer.replace(/\.weight_v$/, '.parametrizations.weight.original1'), dims] as const;
  });
  return new Map(names);
}
