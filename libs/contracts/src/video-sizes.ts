/** Sizes of the networks of a video model, as its manifest states them. The tensors' names are those of the public checkpoints. */
import { z } from 'zod';

const size = z.number().int().positive();

/** wav2vec 2.0 (facebook/wav2vec2-base-960h). */
export const wav2vec2Sizes = z.object({
  /** Channels of the convolutions over samples. */
  channels: size,
  /** Kernel and stride of each of them. */
  convolutions: z
    .array(z.tuple([size, size]).readonly())
    .min(1)
    .readonly(),
  dim: size,
  mlp: size,
  heads: size,
  layers: size,
  /** Convolution that tells positions. */
  positions: z.object({ kernel: size, groups: size }),
});

/** The video autoencoder of Wan 2.1. */
export const wanVaeSizes = z.object({
  /** Channels at full resolution. */
  dim: size,
  /** Factor of `dim` at each resolution, from the highest on. */
  widths: z.array(size).min(2).readonly(),
  /** Residual blocks per resolution in the encoder; the decoder has one more. */
  blocks: size,
  latentChannels: size,
  /** Whether each halving of the picture, from the highest resolution on, also halves the number of frames. */
  halvesTime: z.array(z.boolean()).min(1).readonly(),
});

/** The decoder of TAEHV. */
export const taehvSizes = z.object({
  latentChannels: size,
  /** Channels at each resolution, from the latents' on. */
  widths: z.tuple([size, size, size, size]).readonly(),
  /** Whether each doubling of the picture also doubles the frames. */
  doublesTime: z.tuple([z.boolean(), z.boolean(), z.boolean()]).readonly(),
});
