/** The video autoencoder of Wan 2.1 by its original tensor names (Wan-Video/Wan2.1, wan/modules/vae.py). */
import { SegmentBuilder } from './builder.js';
import type { Weights } from './safetensors.js';
import type { CompiledSegment } from './types.js';

export interface WanVaeSizes {
  /** Channels at full resolution; 24 in LightVAE, which has the same tensors. */
  readonly dim: number;
  /** Factor of `dim` at each resolution, from the highest on. */
  readonly widths: readonly number[];
  /** Residual blocks per resolution in the encoder; the decoder has one more. */
  readonly blocks: number;
  readonly latentChannels: number;
  /** Whether each halving of the picture, from the highest resolution on, also halves the number of frames. */
  readonly halvesTime: readonly boolean[];
}

export const WAN_VAE_SIZES: WanVaeSizes = {
  dim: 96,
  widths: [1, 2, 4, 4],
  blocks: 2,
  latentChannels: 16,
  halvesTime: [false, true, true],
};

/** Mean and standard deviation of each latent channel; the transformer works on (latent - mean) / deviation. */
const MEAN = [
  -0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508, 0.4134, -0.0715, 0.5517, -0.3632, -0.1922,
  -0.9497, 0.2503, -0.2921,
];
const DEVIATION = [
  2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743, 3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253,
  2.8251, 1.916,
];

/** Rows and columns of latents. */
export interface LatentGrid {
  readonly height: number;
  readonly width: number;
}

/** A value [1, channels, T, height, width] in the graph. */
interface Video {
  readonly value: string;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/**
 * Compiles the streaming decoder: `latent` [T, C, H, W] -> `rgb` [T', 3, 8H, 8W] in 0..1, and caches of the last two frames before each convolution in
 * time, `cache_<i>` -> `next_cache_<i>` [1, C, 2, h, w].
 * @param part `first`: the first latent of a session, T = 1 and T' = 1, without cache inputs. `steady`: any number of later ones, T' = 4 T; caches that
 *   the first graph does not give begin with zeros
 */
export function compileVaeDecoder(
  sizes: WanVaeSizes,
  weights: Weights,
  grid: LatentGrid,
  part: 'first' | 'steady',
): CompiledSegment {
  const parts = new VaeParts(weights, part, true);
  const { build } = parts;
  const { latentChannels: channels } = sizes;
  const { height, width } = grid;
  const latent = build.input('latent', part === 'first' ? 1 : 'T', channels, height, width);
  const scaled = build.op('Mul', latent, build.constant(DEVIATION, 1, channels, 1, 1));
  const moved = build.op('Add', scaled, build.constant(MEAN, 1, channels, 1, 1));
  let x: Video = { value: parts.inTime(moved, channels, height, width), channels, height, width };
  x = parts.linear(x, 'conv2', channels);
  const dims = [...sizes.widths].reverse().map((factor) => factor * sizes.dim);
  x = parts.middle(parts.convolution(x, 'decoder.conv1', dims[0] as number), 'decoder.middle');
  let at = 0;
  const next = (): string => `decoder.upsamples.${at++}`;
  for (const [level, dim] of dims.entries()) {
    for (let block = 0; block <= sizes.blocks; block++) x = parts.residual(x, next(), dim);
    if (level === dims.length - 1) continue;
    x = parts.upsample(x, next(), sizes.halvesTime[sizes.halvesTime.length - 1 - level] === true);
  }
  const frames = parts.perFrame(parts.head(x, 'decoder.head', 3));
  const clamped = build.op('Clip', frames, build.constant([-1]), build.constant([1]));
  const rgb = build.op('Mul', build.op('Add', clamped, build.constant([1])), build.constant([0.5]));
  build.output(rgb, 'rgb', part === 'first' ? 1 : 'frames', 3, x.height, x.width);
  return build.finish(`vae.${part}`);
}

/** Latents back to which a state of the decoder depends: two frames before each convolution in time, at its rate. */
export function vaeDecoderReach({ blocks, halvesTime }: WanVaeSizes): number {
  let [rate, latents] = [1, 2 * (1 + 2 * 2)];
  for (let level = 0; level <= halvesTime.length; level++) {
    latents += (2 * 2 * (blocks + 1)) / rate;
    if (halvesTime[halvesTime.length - 1 - level] !== true) continue;
    latents += 2 / rate;
    rate *= 2;
  }
  return latents + 2 / rate;
}

/** Compiles the encoder of one picture: `rgb` [1, 3, 8H, 8W] in 0..1 -> `latent` [1, C, H, W], as the transformer takes it. */
export function compileVaeEncoder(sizes: WanVaeSizes, weights: Weights, grid: LatentGrid): CompiledSegment {
  const parts = new VaeParts(weights, 'first', false);
  const { build } = parts;
  const scale = 2 ** sizes.halvesTime.length;
  const [height, width] = [grid.height * scale, grid.width * scale];
  const rgb = build.input('rgb', 1, 3, height, width);
  const signed = build.op('Sub', build.op('Mul', rgb, build.constant([2])), build.constant([1]));
  let x: Video = { value: parts.inTime(signed, 3, height, width), channels: 3, height, width };
  x = parts.convolution(x, 'encoder.conv1', sizes.dim);
  let at = 0;
  const next = (): string => `encoder.downsamples.${at++}`;
  for (const [level, factor] of sizes.widths.entries()) {
    for (let block = 0; block < sizes.blocks; block++) x = parts.residual(x, next(), factor * sizes.dim);
    if (level < sizes.widths.length - 1) x = parts.downsample(x, next());
  }
  x = parts.head(parts.middle(x, 'encoder.middle'), 'encoder.head', 2 * sizes.latentChannels);
  // The second half of the channels is the variance, which the latents do not use.
  const both = parts.perFrame(parts.linear(x, 'conv1', 2 * sizes.latentChannels));
  const mean = build.slice(both, 1, 0, sizes.latentChannels);
  const moved = build.op('Sub', mean, build.constant(MEAN, 1, sizes.latentChannels, 1, 1));
  const latent = build.op('Div', moved, build.constant(DEVIATION, 1, sizes.latentChannels, 1, 1));
  build.output(latent, 'latent', 1, sizes.latentChannels, grid.height, grid.width);
  return build.finish('vae.encoder');
}

class VaeParts {
  readonly build: SegmentBuilder;
  readonly #part: 'first' | 'steady';
  readonly #keeps: boolean;
  #caches = 0;

  /** @param keeps whether the graph gives caches for the next run */
  constructor(weights: Weights, part: 'first' | 'steady', keeps: boolean) {
    this.build = new SegmentBuilder(weights);
    this.#part = part;
    this.#keeps = keeps;
  }

  /** [T, C, H, W] -> [1, C, T, H, W]. */
  inTime(frames: string, channels: number, height: number, width: number): string {
    const { build } = this;
    const perm = [0, 2, 1, 3, 4];
    return build.graph.op('Transpose', [build.reshape(frames, 1, -1, channels, height, width)], { perm });
  }

  /** [1, C, T, H, W] -> [T, C, H, W]. */
  perFrame({ value, channels, height, width }: Video): string {
    const { build } = this;
    const moved = build.graph.op('Transpose', [value], { perm: [0, 2, 1, 3, 4] });
    return build.reshape(moved, -1, channels, height, width);
  }

  /** A convolution of one by one by one. */
  linear(x: Video, name: string, channels: number): Video {
    return { ...x, channels, value: this.#conv3(x.value, name, [channels, x.channels, 1, 1, 1], 0) };
  }

  /** A causal convolution of three by three by three. */
  convolution(x: Video, name: string, channels: number): Video {
    const dims = [channels, x.channels, 3, 3, 3];
    return { ...x, channels, value: this.#causal(x, name, dims, 1) };
  }

  residual(x: Video, name: string, channels: number): Video {
    const { build } = this;
    const around = x.channels === channels ? x : this.linear(x, `${name}.shortcut`, channels);
    const inner = this.convolution(this.#activated(x, `${name}.residual.0`), `${name}.residual.2`, channels);
    const outer = this.convolution(this.#activated(inner, `${name}.residual.3`), `${name}.residual.6`, channels);
    return { ...outer, value: build.op('Add', outer.value, around.value) };
  }

  middle(x: Video, name: string): Video {
    const entered = this.residual(x, `${name}.0`, x.channels);
    return this.residual(this.#attention(entered, `${name}.1`), `${name}.2`, x.channels);
  }

  head(x: Video, name: string, channels: number): Video {
    return this.convolution(this.#activated(x, `${name}.0`), `${name}.2`, channels);
  }

  /** Doubles rows and columns, and with `time` the frames, except the first frame of a session. Halves the channels. */
  upsample(x: Video, name: string, time: boolean): Video {
    const { build } = this;
    const doubled = time ? this.#doubleTime(x, `${name}.time_conv`) : x;
    const channels = x.channels / 2;
    const scales = build.constant([1, 1, 2, 2], 4);
    const options = { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' };
    const wide = build.graph.op('Resize', [this.perFrame(doubled), '', scales], options);
    const frames = this.#conv2(wide, `${name}.resample.1`, [channels, x.channels, 3, 3], { pads: [1, 1, 1, 1] });
    const [height, width] = [2 * x.height, 2 * x.width];
    return { channels, height, width, value: this.inTime(frames, channels, height, width) };
  }

  downsample(x: Video, name: string): Video {
    const options = { pads: [0, 0, 1, 1], strides: [2, 2] };
    const frames = this.#conv2(this.perFrame(x), `${name}.resample.1`, [x.channels, x.channels, 3, 3], options);
    const [height, width] = [x.height / 2, x.width / 2];
    return { ...x, height, width, value: this.inTime(frames, x.channels, height, width) };
  }

  /** Two frames of each, from the two halves of a convolution's channels. The first frame of a session stays one. */
  #doubleTime(x: Video, name: string): Video {
    const { build } = this;
    const { channels, height, width } = x;
    if (this.#part === 'first') {
      // Its cache stays zero, so the name is taken without an input or output.
      this.#caches += 1;
      return x;
    }
    const both = this.#causal(x, name, [2 * channels, channels, 3, 1, 1], 0);
    const cut = build.reshape(both, 2, channels, -1, height, width);
    const woven = build.graph.op('Transpose', [cut], { perm: [1, 2, 0, 3, 4] });
    return { ...x, value: build.reshape(woven, 1, channels, -1, height, width) };
  }

  /** Attention of each frame's places to each other, with one head. */
  #attention(x: Video, name: string): Video {
    const { build } = this;
    const { channels, height, width } = x;
    const places = height * width;
    const n = this.#normed(this.perFrame(x), `${name}.norm.gamma`, [channels, 1, 1], channels);
    const qkv = this.#conv2(n, `${name}.to_qkv`, [3 * channels, channels, 1, 1], {});
    const rows = build.graph.op('Transpose', [build.reshape(qkv, -1, 3 * channels, places)], { perm: [0, 2, 1] });
    const [q, k, v] = build.split(rows, 2, [channels, channels, channels]) as [string, string, string];
    const seen = build.graph.op('Transpose', [build.attention(q, k, v, 1)], { perm: [0, 2, 1] });
    const grid = build.reshape(seen, -1, channels, height, width);
    const out = this.inTime(this.#conv2(grid, `${name}.proj`, [channels, channels, 1, 1], {}), channels, height, width);
    return { ...x, value: build.op('Add', out, x.value) };
  }

  #activated(x: Video, name: string): Video {
    const n = this.#normed(x.value, `${name}.gamma`, [x.channels, 1, 1, 1], x.channels);
    return { ...x, value: this.build.activation(n, 'silu') };
  }

  /** Divides by the length of the channel vector, times its square root of size and a learned factor. */
  #normed(value: string, gamma: string, dims: readonly number[], channels: number): string {
    const { build } = this;
    const length = build.graph.op('ReduceL2', [value, build.graph.ints(1)], { keepdims: 1 });
    const unit = build.op('Div', value, build.op('Max', length, build.constant([1e-12])));
    const factor = build.op('Mul', build.weight(gamma, dims), build.constant([Math.sqrt(channels)]));
    return build.op('Mul', unit, factor);
  }

  /** Sees the two frames before as well: from the cache, or zeros at the beginning of a session, of which only the last tap remains. */
  #causal(x: Video, name: string, dims: readonly number[], padding: number): string {
    const { build } = this;
    const cache = `cache_${this.#caches++}`;
    const shape = [1, x.channels, 2, x.height, x.width];
    if (this.#part === 'first') {
      if (this.#keeps) {
        const before = build.graph.ints(0, 0, 1, 0, 0, 0, 0, 0, 0, 0);
        build.output(build.op('Pad', x.value, before), `next_${cache}`, ...shape);
      }
      const last = build.slice(build.weight(`${name}.weight`, dims), 2, 2, 3);
      return this.#conv3With(x.value, last, name, dims[0] as number, padding);
    }
    const all = build.concat([build.input(cache, ...shape), x.value], 2);
    build.output(build.slice(all, 2, -2, Number.MAX_SAFE_INTEGER), `next_${cache}`, ...shape);
    return this.#conv3(all, name, dims, padding);
  }

  #conv3(value: string, name: string, dims: readonly number[], padding: number): string {
    return this.#conv3With(value, this.build.weight(`${name}.weight`, dims), name, dims[0] as number, padding);
  }

  #conv3With(value: string, weight: string, name: string, channels: number, padding: number): string {
    const bias = this.build.weight(`${name}.bias`, [channels]);
    const pads = [0, padding, padding, 0, padding, padding];
    return this.build.graph.op('Conv', [value, weight, bias], { pads });
  }

  #conv2(
    value: string,
    name: string,
    dims: readonly number[],
    options: Readonly<Record<string, readonly number[]>>,
  ): string {
    const [channels = 0] = dims;
    const weight = this.build.weight(`${name}.weight`, dims);
    return this.build.graph.op('Conv', [value, weight, this.build.weight(`${name}.bias`, [channels])], options);
  }
}
