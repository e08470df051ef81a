import { checkpoint } from '../compile/checkpoints.js';
import { neededTensors } from '../compile/needed-weights.js';
import type { Weights } from '../compile/safetensors.js';
import { compileTaehvDecoder, TAEW_SIZES } from '../compile/taehv.js';
import { compileVaeDecoder, compileVaeEncoder, WAN_VAE_SIZES } from '../compile/wan-vae.js';
import { compileWav2Vec2, WAV2VEC2_BASE } from '../compile/wav2vec2.js';
import type { WantedNetwork } from './find-networks.js';

/** Latents of 512 x 512 pixels. */
const GRID = { height: 64, width: 64 };
/** Any window has the same weights. */
const WINDOW = { samples: 64_000, frames: 64, kept: 12 };
/** Tokens and width of umT5-XXL. */
const PROMPT = [512, 4096];

/** The files that LiveTalk-1.3B needs (GAIR-NLP/LiveTalk, README.md), and the small decoder that it can use instead of Wan's. */
export function liveTalkNetworks(): WantedNetwork[] {
  const codec = (weights: Weights): void => {
    compileVaeEncoder(WAN_VAE_SIZES, weights, GRID);
    for (const part of ['first', 'steady'] as const) compileVaeDecoder(WAN_VAE_SIZES, weights, GRID, part);
  };
  const audio = neededTensors((weights) => compileWav2Vec2(WAV2VEC2_BASE, weights, WINDOW));
  const { tensors } = checkpoint('livetalk');
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
      variants: [new Map([['prompt_embeds', PROMPT]])],
    },
    {
      name: 'small-decoder',
      about: 'taew2_1.safetensors of madebyollin/taehv',
      anchor: 'decoder.22.weight',
      variants: [neededTensors((weights) => compileTaehvDecoder(TAEW_SIZES, weights, GRID))],
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
