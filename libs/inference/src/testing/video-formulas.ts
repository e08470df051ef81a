/**
 * Multiplications and additions of a video model's parts in closed form, from tokens, layers and widths alone: a check of what is counted in the
 * graphs. Shapes: the published classes (Wan-Video/Wan2.1, wan/modules/model.py and vae.py; madebyollin/taehv, taehv.py; transformers, wav2vec 2.0).
 */
import type { VideoSizes } from '../video/video-graphs.js';

type Formula = (sizes: VideoSizes) => number;

/** By the name of the part in `videoParts`. */
export const VIDEO_FORMULAS: Readonly<Record<string, Formula>> = {
  'picture encoder': pictureEncoder,
  prompt: ({ score }) => {
    const { dim, layers } = score.dit;
    return 2 * score.prompt.tokens * (score.prompt.dim * dim + dim * dim + layers * 2 * dim * dim);
  },
  'audio encoder': audioEncoder,
  'sound vectors': ({ score, chunk, audio }) => {
    const { width = 0, count = 0 } = score.dit.sound ?? {};
    const values = chunk.temporalCompression * (audio.encoder.layers + 2) * audio.encoder.dim;
    return 2 * chunk.latentFrames * width * (values + count * score.dit.dim);
  },
  'score step': pass,
  'clean pass': pass,
  'decoder, first latent': (sizes) => decoder(sizes, 1, true),
  decoder: (sizes) => decoder(sizes, sizes.chunk.latentFrames, false),
  'small decoder': smallDecoder,
};

function pass({ score, chunk, latent }: VideoSizes): number {
  const { dim, layers, mlp, context, patch } = score.dit;
  const { sink = 0, recent = 0 } = context ?? {};
  const area = patch.size[0] * patch.size[1];
  const tokens = (chunk.latentFrames * latent.height * latent.width) / area;
  const keys = (sink + recent + 1) * tokens;
  // Queries, keys, values and output; query and output of the attention to the text; both halves of the feed-forward part.
  const linear = 2 * tokens * dim * (4 * dim + 2 * dim + 2 * mlp);
  const attention = 4 * tokens * dim * (keys + score.prompt.tokens);
  const [entering, leaving] = [2 * latent.channels + 1, latent.channels].map((channels) => channels * area);
  return layers * (linear + attention) + 2 * tokens * dim * ((entering ?? 0) + (leaving ?? 0));
}

function audioEncoder({ audio, fps, chunk }: VideoSizes): number {
  const { channels, convolutions, dim, mlp, layers, positions, sampleRateHz } = audio.encoder;
  const frames = (audio.historySamples * fps) / audio.sampleRateHz + chunk.latentFrames * chunk.temporalCompression;
  let [length, all, from] = [(frames * sampleRateHz) / fps, 0, 1];
  for (const [kernel, stride] of convolutions) {
    length = Math.floor((length - kernel) / stride) + 1;
    all += 2 * length * kernel * from * channels;
    from = channels;
  }
  // To the grid of the frames, into the transformer, and where they are.
  all += 2 * frames * (length * channels + channels * dim + (dim * dim * positions.kernel) / positions.groups);
  return all + layers * (2 * frames * dim * (4 * dim + 2 * mlp) + 4 * frames * frames * dim);
}

/** A residual block: two convolutions, and one of a single tap where the channels change. */
function residual(places: number, taps: number, from: number, to: number): number {
  return 2 * places * (taps * to * (from + to) + (from === to ? 0 : from * to));
}

/** Two residual blocks around attention within each frame. */
function middle(frames: number, places: number, taps: number, dim: number): number {
  const attention = 2 * frames * places * dim * (3 * dim + dim + 2 * places);
  return 2 * residual(frames * places, taps, dim, dim) + attention;
}

/** @param first a first latent makes one frame, and convolutions see no frames before it */
function decoder({ codec, latent }: VideoSizes, latents: number, first: boolean): number {
  const taps = first ? 9 : 27;
  const widths = [...codec.widths].reverse().map((factor) => factor * codec.dim);
  const doubles = [...codec.halvesTime].reverse();
  let [frames, places, dim] = [latents, latent.height * latent.width, widths[0] as number];
  let all = 2 * frames * places * latent.channels * (latent.channels + taps * dim) + middle(frames, places, taps, dim);
  for (const [level, width] of widths.entries()) {
    all += residual(frames * places, taps, dim, width) + codec.blocks * residual(frames * places, taps, width, width);
    dim = width;
    if (level === widths.length - 1) continue;
    if (doubles[level] === true && !first) {
      all += 2 * frames * places * 3 * dim * 2 * dim;
      frames *= 2;
    }
    places *= 4;
    all += (2 * frames * places * 9 * dim * dim) / 2;
    dim /= 2;
  }
  return all + 2 * frames * places * taps * dim * 3;
}

function pictureEncoder({ codec, latent, width, height }: VideoSizes): number {
  const taps = 9;
  let [places, dim] = [width * height, codec.dim];
  let all = 2 * places * taps * 3 * dim;
  for (const [level, factor] of codec.widths.entries()) {
    const wide = factor * codec.dim;
    all += residual(places, taps, dim, wide) + (codec.blocks - 1) * residual(places, taps, wide, wide);
    dim = wide;
    if (level === codec.widths.length - 1) continue;
    places /= 4;
    all += 2 * places * 9 * dim * dim;
  }
  const both = 2 * latent.channels;
  return all + middle(1, places, taps, dim) + 2 * places * both * (taps * dim + both);
}

function smallDecoder({ decoder: { kind, ...rest }, latent, chunk }: VideoSizes): number {
  if (kind !== 'taehv' || !('sizes' in rest)) throw new RangeError('the sizes have no small decoder');
  const { widths, doublesTime } = rest.sizes;
  let [frames, places] = [chunk.latentFrames, latent.height * latent.width];
  let all = 2 * frames * places * 9 * latent.channels * widths[0];
  for (const [level, doubles] of doublesTime.entries()) {
    const [width, next] = [widths[level] as number, widths[level + 1] as number];
    // Three memory blocks: their first convolution sees two frames side by side.
    all += 3 * 2 * frames * places * 9 * (2 + 1 + 1) * width * width;
    places *= 4;
    const made = doubles ? 2 : 1;
    all += 2 * frames * places * width * width * made;
    frames *= made;
    all += 2 * frames * places * 9 * width * next;
  }
  return all + 2 * frames * places * 9 * widths[3] * 3;
}
