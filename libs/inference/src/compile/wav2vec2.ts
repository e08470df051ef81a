/** The audio encoder wav2vec 2.0 by the tensor names of the transformers library, as LiveTalk runs it (GAIR-NLP/LiveTalk, utils/Omniavatarpatch/wav2vec.py). */
import { SegmentBuilder } from './builder.js';
import type { Weights } from './safetensors.js';
import type { CompiledSegment } from './types.js';

export interface Wav2Vec2Sizes {
  /** Channels of the convolutions over samples. */
  readonly channels: number;
  /** Kernel and stride of each of them. */
  readonly convolutions: readonly (readonly [kernel: number, stride: number])[];
  readonly dim: number;
  readonly mlp: number;
  readonly heads: number;
  readonly layers: number;
  /** Convolution that tells positions. */
  readonly positions: { readonly kernel: number; readonly groups: number };
}

/** facebook/wav2vec2-base-960h. */
export const WAV2VEC2_BASE: Wav2Vec2Sizes = {
  channels: 512,
  convolutions: [
    [10, 5],
    [3, 2],
    [3, 2],
    [3, 2],
    [3, 2],
    [2, 2],
    [2, 2],
  ],
  dim: 768,
  mlp: 3072,
  heads: 12,
  layers: 12,
  positions: { kernel: 128, groups: 16 },
};

export interface SoundWindow {
  /** Samples at 16 kHz. */
  readonly samples: number;
  /** Video frames in the window; the features are interpolated to them before the transformer. */
  readonly frames: number;
  /** How many of the last frames to give. */
  readonly kept: number;
}

/** Values of one frame: the last hidden state, then that before the first layer and that after each layer. */
export function soundValues({ dim, layers }: Wav2Vec2Sizes): number {
  return (layers + 2) * dim;
}

/**
 * Compiles the encoder for a window: `pcm` [samples] in -1..1 -> `hidden` [kept, soundValues], for each of the last frames. The window is
 * normalised as a whole, and every frame attends to all of it.
 * @param prefix of the names in the file: `wav2vec2.` in checkpoints for recognition
 */
export function compileWav2Vec2(
  sizes: Wav2Vec2Sizes,
  weights: Weights,
  window: SoundWindow,
  prefix = '',
): CompiledSegment {
  return new Encoder(sizes, weights, prefix).compile(window);
}

const LAYER = { kind: 'layer', eps: 1e-5 } as const;

class Encoder {
  readonly #build: SegmentBuilder;
  readonly #sizes: Wav2Vec2Sizes;
  readonly #weights: Weights;
  readonly #prefix: string;

  constructor(sizes: Wav2Vec2Sizes, weights: Weights, prefix: string) {
    this.#build = new SegmentBuilder(weights);
    this.#sizes = sizes;
    this.#weights = weights;
    this.#prefix = prefix;
  }

  compile({ samples, frames, kept }: SoundWindow): CompiledSegment {
    const [build, sizes] = [this.#build, this.#sizes];
    const features = this.#features(this.#normalised(build.input('pcm', samples), samples));
    const grid = build.op('MatMul', interpolation(build, this.#lengthOf(samples), frames), features);
    const entered = build.norm(grid, { ...LAYER, affine: this.#name('feature_projection.layer_norm') }, sizes.channels);
    const projected = build.linear(entered, this.#name('feature_projection.projection'), sizes.channels, sizes.dim);
    const placed = build.op('Add', projected, this.#positions(projected));
    let h = build.norm(placed, { ...LAYER, affine: this.#name('encoder.layer_norm') }, sizes.dim);
    const states = [h];
    for (let layer = 0; layer < sizes.layers; layer++) {
      h = this.#layer(h, this.#name(`encoder.layers.${layer}`));
      states.push(h);
    }
    const all = build.concat([h, ...states], 1);
    build.output(build.slice(all, 0, frames - kept, frames), 'hidden', kept, soundValues(sizes));
    return build.finish('wav2vec2');
  }

  #name(rest: string): string {
    return `${this.#prefix}${rest}`;
  }

  /** Zero mean and unit variance, [1, 1, samples]. */
  #normalised(pcm: string, samples: number): string {
    const build = this.#build;
    const mean = (value: string): string => build.graph.op('ReduceMean', [value, build.graph.ints(0)], { keepdims: 1 });
    const centred = build.op('Sub', pcm, mean(pcm));
    const variance = build.op('Add', mean(build.op('Mul', centred, centred)), build.constant([1e-7]));
    return build.reshape(build.op('Div', centred, build.op('Sqrt', variance)), 1, 1, samples);
  }

  #lengthOf(samples: number): number {
    return this.#sizes.convolutions.reduce(
      (length, [kernel, stride]) => Math.floor((length - kernel) / stride) + 1,
      samples,
    );
  }

  /** [1, 1, samples] -> [length, channels]. */
  #features(pcm: string): string {
    const [build, sizes] = [this.#build, this.#sizes];
    let x = pcm;
    for (const [i, [kernel, stride]] of sizes.convolutions.entries()) {
      const prefix = this.#name(`feature_extractor.conv_layers.${i}`);
      const weight = build.weight(`${prefix}.conv.weight`, [sizes.channels, i === 0 ? 1 : sizes.channels, kernel]);
      x = build.graph.op('Conv', [x, weight], { strides: [stride] });
      if (i === 0) {
        const [scale, bias] = ['weight', 'bias'].map((what) =>
          build.weight(`${prefix}.layer_norm.${what}`, [sizes.channels]),
        ) as [string, string];
        x = build.graph.op('InstanceNormalization', [x, scale, bias], { epsilon: { float: 1e-5 } });
      }
      x = build.activation(x, 'gelu-erf');
    }
    return build.graph.op('Transpose', [build.op('Squeeze', x, build.graph.ints(0))], { perm: [1, 0] });
  }

  /** [frames, dim] -> [frames, dim]. Its weight is stored as direction and length. */
  #positions(rows: string): string {
    const [build, sizes] = [this.#build, this.#sizes];
    const { kernel, groups } = sizes.positions;
    const prefix = this.#name('encoder.pos_conv_embed.conv');
    const newer = `${prefix}.parametrizations.weight.original`;
    const [length, direction] = this.#weights.entries.has(`${newer}0`)
      ? [`${newer}0`, `${newer}1`]
      : [`${prefix}.weight_g`, `${prefix}.weight_v`];
    const v = build.weight(direction, [sizes.dim, sizes.dim / groups, kernel]);
    const norm = build.graph.op('ReduceL2', [v, build.graph.ints(0, 1)], { keepdims: 1 });
    const weight = build.op('Mul', build.op('Div', v, norm), build.weight(length, [1, 1, kernel]));
    const across = build.stacked(build.graph.op('Transpose', [rows], { perm: [1, 0] }));
    // An even kernel gives one frame more than there are, and the last one is dropped.
    const pads = [kernel / 2, kernel / 2 - (kernel % 2 === 0 ? 1 : 0)].map(Math.floor);
    const bias = build.weight(`${prefix}.bias`, [sizes.dim]);
    const y = build.activation(build.graph.op('Conv', [across, weight, bias], { group: groups, pads }), 'gelu-erf');
    return build.graph.op('Transpose', [build.unstacked(y)], { perm: [1, 0] });
  }

  #layer(h: string, prefix: string): string {
    const [build, sizes] = [this.#build, this.#sizes];
    const { dim, mlp, heads } = sizes;
    const [q, k, v] = ['q', 'k', 'v'].map((kind) =>
      build.stacked(build.linear(h, `${prefix}.attention.${kind}_proj`, dim, dim)),
    ) as [string, string, string];
    const seen = build.unstacked(build.attention(q, k, v, heads));
    const attended = build.op('Add', h, build.linear(seen, `${prefix}.attention.out_proj`, dim, dim));
    const n = build.norm(attended, { ...LAYER, affine: `${prefix}.layer_norm` }, dim);
    const up = build.activation(build.linear(n, `${prefix}.feed_forward.intermediate_dense`, dim, mlp), 'gelu-erf');
    const down = build.op('Add', n, build.linear(up, `${prefix}.feed_forward.output_dense`, mlp, dim));
    return build.norm(down, { ...LAYER, affine: `${prefix}.final_layer_norm` }, dim);
  }
}

/** Matrix [frames, length] of linear interpolation whose first and last points coincide. */
function interpolation(build: SegmentBuilder, length: number, frames: number): string {
  const matrix = new Float32Array(frames * length);
  for (let frame = 0; frame < frames; frame++) {
    const place = frames === 1 ? 0 : (frame * (length - 1)) / (frames - 1);
    const before = Math.min(Math.floor(place), length - 1);
    const share = place - before;
    matrix[frame * length + before] = 1 - share;
    if (share > 0) matrix[frame * length + before + 1] = share;
  }
  return build.constant(matrix, frames, length);
}
