/** The decoder of TAEHV, a small replacement for a video autoencoder's; TAEW2.1 is the one for Wan 2.1 (madebyollin/taehv, taehv.py). */
import { SegmentBuilder } from './builder.js';
import type { Weights } from './safetensors.js';
import type { CompiledSegment } from './types.js';
import type { LatentGrid } from './wan-vae.js';

export interface TaehvSizes {
  readonly latentChannels: number;
  /** Channels at each resolution, from the latents' on. */
  readonly widths: readonly [number, number, number, number];
  /** Whether each doubling of the picture also doubles the frames. */
  readonly doublesTime: readonly [boolean, boolean, boolean];
}

export const TAEW_SIZES: TaehvSizes = {
  latentChannels: 16,
  widths: [256, 128, 64, 64],
  doublesTime: [false, true, true],
};
/** Frames at the beginning of a session that have no counterpart in the picture. */
export const TAEHV_TRIM = 3;

/**
 * Compiles the streaming decoder: `latent` [T, C, H, W] -> `rgb` [4 T, 3, 8H, 8W] in 0..1, and the last frame before each memory block,
 * `cache_<i>` -> `next_cache_<i>` [1, C, h, w]. Caches begin with zeros; the first `TAEHV_TRIM` frames of a session are to be dropped.
 */
export function compileTaehvDecoder(sizes: TaehvSizes, weights: Weights, grid: LatentGrid): CompiledSegment {
  const build = new SegmentBuilder(weights);
  let { height, width } = grid;
  let layer = 0;
  let caches = 0;
  const name = (): string => `decoder.${layer++}`;
  const conv = (x: string, prefix: string, dims: readonly number[], bias = true): string => {
    const inputs = [x, build.weight(`${prefix}.weight`, dims)];
    if (bias) inputs.push(build.weight(`${prefix}.bias`, [dims[0] as number]));
    const padding = ((dims[2] as number) - 1) / 2;
    return build.graph.op('Conv', inputs, { pads: [padding, padding, padding, padding] });
  };
  /** Sees its input of the frame before. */
  const memory = (x: string, prefix: string, channels: number): string => {
    const cache = `cache_${caches++}`;
    const shape = [1, channels, height, width];
    const before = build.concat([build.input(cache, ...shape), x], 0);
    build.output(build.slice(x, 0, -1, Number.MAX_SAFE_INTEGER), `next_${cache}`, ...shape);
    const past = build.slice(before, 0, 0, -1);
    const wide = [channels, 2 * channels, 3, 3];
    let y = build.op('Relu', conv(build.concat([x, past], 1), `${prefix}.conv.0`, wide));
    y = build.op('Relu', conv(y, `${prefix}.conv.2`, [channels, channels, 3, 3]));
    return build.op('Relu', build.op('Add', conv(y, `${prefix}.conv.4`, [channels, channels, 3, 3]), x));
  };
  /** One or two frames of each. */
  const grow = (x: string, prefix: string, channels: number, frames: number): string => {
    const wanted = channels * frames;
    const [rows = wanted] = build.dims(`${prefix}.conv.weight`, [wanted, channels, 1, 1]);
    const dims = [rows, channels, 1, 1];
    // A file of a model that grows more has the frames' channels in order, and the last ones are those to keep.
    const kept = rows === wanted ? undefined : { from: rows - wanted, to: rows };
    const both = build.op('Conv', x, build.weight(`${prefix}.conv.weight`, dims, kept));
    return frames === 1 ? both : build.reshape(both, -1, channels, height, width);
  };

  const [first] = sizes.widths;
  name();
  const latent = build.input('latent', 'T', sizes.latentChannels, height, width);
  const third = build.constant([3]);
  const limited = build.op('Mul', build.op('Tanh', build.op('Div', latent, third)), third);
  let x = build.op('Relu', conv(limited, name(), [first, sizes.latentChannels, 3, 3]));
  name();
  for (const [level, doubles] of sizes.doublesTime.entries()) {
    const [channels, next] = sizes.widths.slice(level, level + 2) as [number, number];
    for (let block = 0; block < 3; block++) x = memory(x, name(), channels);
    name();
    const options = { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' };
    x = build.graph.op('Resize', [x, '', build.constant([1, 1, 2, 2], 4)], options);
    [height, width] = [2 * height, 2 * width];
    x = grow(x, name(), channels, doubles ? 2 : 1);
    x = conv(x, name(), [next, channels, 3, 3], false);
  }
  name();
  const rgb = conv(build.op('Relu', x), name(), [3, sizes.widths[3], 3, 3]);
  build.output(build.op('Clip', rgb, build.constant([0]), build.constant([1])), 'rgb', 'frames', 3, height, width);
  return build.finish('taehv');
}

/** Latents back to which a state of the decoder depends: one frame before each memory block, at its rate. */
export function taehvReach({ doublesTime }: TaehvSizes): number {
  let [rate, latents] = [1, 0];
  for (const doubles of doublesTime) {
    latents += 3 / rate;
    if (doubles) rate *= 2;
  }
  return latents;
}
