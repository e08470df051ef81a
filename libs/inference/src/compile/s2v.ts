/**
 * Wan2.2-S2V as LiveAvatar streams it (Alibaba-Quark/LiveAvatar, liveavatar/models/wan/causal_model_s2v.py): Wan's transformer with tokens of sound that the
 * tokens of a latent frame attend to after some layers. The reference picture and earlier frames are context that is prefilled at noise level 0.
 */
import type { DitDescription } from '@talkmesh/contracts';
import { SegmentBuilder } from './builder.js';
import { neededTensors } from './needed-weights.js';
import type { Weights } from './safetensors.js';
import { expectedTensors } from './tensors.js';
import type { CompiledSegment, DitGeometry } from './types.js';
import { ringDescription, type WanSizes } from './wan.js';

export interface S2vSizes extends WanSizes {
  /** Layers after which tokens attend to the sound. */
  readonly hearing: readonly number[];
  readonly sound: {
    /** Hidden states of the audio encoder, and values of each. */
    readonly states: number;
    readonly values: number;
    /** Tokens of a latent frame, without the learned one that is added to them. */
    readonly tokens: number;
  };
}

/** Wan2.2-S2V-14B, with wav2vec2-large-xlsr-53-english. */
export const S2V_SIZES: S2vSizes = {
  ...{ dim: 5120, mlp: 13_824, heads: 40, layers: 40, frequencies: 128, image: false },
  hearing: [0, 4, 8, 12, 16, 20, 24, 27, 30, 33, 36, 39],
  sound: { states: 25, values: 1024, tokens: 4 },
};
/** Copies of a chunk's first frame of sound before it, and the latent frames of them, which are dropped. */
const LEAD = { frames: 73, latents: 19 };
const FRAMES_PER_LATENT = 4;
const KERNEL = 3;

/** A chunk attends to the three before it, at its own noise level; poses are not given, so of their encoder the bias remains. */
export function s2vDescription(sizes: S2vSizes): DitDescription {
  const { context: _, patch, ...plain } = ringDescription(sizes, { sink: 0, recent: 3 });
  const own = 'audio_injector.injector.{i}.';
  return {
    ...plain,
    context: { sink: 0, recent: 3 },
    patch: {
      ...patch,
      added: [
        { table: 'cond_encoder.bias', rows: 1 },
        { table: 'trainable_cond_mask.weight', rows: 3 },
      ],
    },
    soundCross: {
      after: [...sizes.hearing],
      tokens: sizes.sound.tokens + 1,
      eps: 1e-5,
      modulation: 'audio_injector.injector_adain_layers.{i}.linear',
      ...{ q: `${own}q`, k: `${own}k`, v: `${own}v`, out: `${own}o` },
      qkNorm: { eps: 1e-6, q: `${own}norm_q.weight`, k: `${own}norm_k.weight` },
    },
  };
}

/** All tensors of the checkpoint: those of a pass, of its sound, and of what is prefilled. */
export function s2vTensors(
  sizes: S2vSizes,
  geometry: DitGeometry,
): ReadonlyMap<string, { readonly dims: readonly number[] }> {
  const { dim } = sizes;
  const { latentFrames, channels } = geometry;
  const sound = neededTensors((weights) => compileS2vSound(sizes, weights, latentFrames));
  const patches = { cond_encoder: 4, 'frame_packer.proj': 4, 'frame_packer.proj_2x': 32, 'frame_packer.proj_4x': 256 };
  const convolutions = Object.entries(patches).flatMap(([name, places]) => [
    [`${name}.weight`, { dims: [dim, channels * places] }] as const,
    [`${name}.bias`, { dims: [dim] }] as const,
  ]);
  return new Map([
    ...expectedTensors(s2vDescription(sizes), geometry, channels),
    ...convolutions,
    ...[...sound].map(([name, dims]) => [name, { dims }] as const),
  ]);
}

/**
 * Compiles `hidden` [states, 4 * latentFrames, values], the audio encoder's states of a chunk's frames, -> `sound_tokens` [latentFrames, tokens + 1, dim]
 * and `sound_whole` [latentFrames, dim]. A chunk hears nothing before its own frames, as in the published stream.
 * @throws MeshError MODEL_INVALID when weights and sizes do not match
 */
export function compileS2vSound(
  { dim, sound }: Pick<S2vSizes, 'dim' | 'sound'>,
  weights: Weights,
  latentFrames: number,
): CompiledSegment {
  const { states, values, tokens } = sound;
  const frames = FRAMES_PER_LATENT * latentFrames;
  const parts = new SoundParts(new SegmentBuilder(weights), dim, latentFrames);
  const { build } = parts;
  const shares = build.activation(build.weight('casual_audio_encoder.weights', [1, states]), 'silu');
  const flat = build.reshape(build.input('hidden', states, frames, values), states, frames * values);
  const mixed = build.op('Div', build.op('MatMul', shares, flat), build.op('ReduceSum', shares, build.graph.ints(1)));
  const heard = parts.turned(build.reshape(mixed, 1, frames, values));
  const led = parts.pad(heard, LEAD.frames);
  const padding = build.gather(build.weight('casual_audio_encoder.encoder.padding_tokens', [1, dim]), 0, [
    ...new Array<number>(latentFrames).fill(0),
  ]);
  const local = build.graph.op('Transpose', [parts.encode(led, 'conv1_local', values, tokens)], { perm: [1, 0, 2] });
  const all = build.concat([local, build.reshape(padding, latentFrames, 1, dim)], 1);
  build.output(all, 'sound_tokens', latentFrames, tokens + 1, dim);
  const global = build.reshape(parts.encode(led, 'conv1_global', values, 1), latentFrames, dim);
  const whole = build.linear(global, 'casual_audio_encoder.encoder.final_linear', dim, dim);
  build.output(whole, 'sound_whole', latentFrames, dim);
  return build.finish('s2v-sound');
}

class SoundParts {
  readonly build: SegmentBuilder;
  readonly #dim: number;
  readonly #latentFrames: number;

  constructor(build: SegmentBuilder, dim: number, latentFrames: number) {
    this.build = build;
    this.#dim = dim;
    this.#latentFrames = latentFrames;
  }

  /** [n, a, b] -> [n, b, a]. */
  turned(x: string): string {
    return this.build.graph.op('Transpose', [x], { perm: [0, 2, 1] });
  }

  /** Repeats the first frame of [n, channels, frames] before it. */
  pad(x: string, count: number): string {
    return this.build.graph.op('Pad', [x, this.build.graph.ints(0, 0, count, 0, 0, 0)], { mode: 'edge' });
  }

  /** [1, values, frames] -> [tokens, latentFrames, dim]: three causal convolutions, the second and third of which halve the rate. */
  encode(x: string, first: string, values: number, tokens: number): string {
    const { build } = this;
    const dim = this.#dim;
    const width = dim / 4;
    const entered = this.#convolve(this.pad(x, KERNEL - 1), first, values, width * tokens, 1);
    let made = this.#normed(build.reshape(entered, tokens, width, -1), width);
    for (const [name, inputs] of [
      ['conv2', width],
      ['conv3', 2 * width],
    ] as const) {
      const padded = this.pad(this.turned(made), KERNEL - 1);
      made = this.#normed(this.#convolve(padded, name, inputs, 2 * inputs, 2), 2 * inputs);
    }
    return build.slice(made, 1, LEAD.latents, LEAD.latents + this.#latentFrames);
  }

  #convolve(x: string, name: string, inputs: number, outputs: number, stride: number): string {
    const prefix = `casual_audio_encoder.encoder.${name}.conv`;
    const weight = this.build.weight(`${prefix}.weight`, [outputs, inputs, KERNEL]);
    const bias = this.build.weight(`${prefix}.bias`, [outputs]);
    return this.build.graph.op('Conv', [x, weight, bias], { strides: [stride] });
  }

  /** [n, channels, frames] -> [n, frames, channels] after norm and SiLU. */
  #normed(x: string, width: number): string {
    return this.build.activation(this.build.norm(this.turned(x), { kind: 'layer', eps: 1e-6 }, width), 'silu');
  }
}
