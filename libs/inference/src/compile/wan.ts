import type { DitDescription } from '@talkmesh/contracts';

/** Sizes of a Wan checkpoint (Wan 2.1, wan/configs). */
export interface WanSizes {
  readonly dim: number;
  readonly mlp: number;
  readonly heads: number;
  readonly layers: number;
  /** Number of frequencies in the timestep embedding: freq_dim / 2. */
  readonly frequencies: number;
  /** Image-to-video models have a second cross-attention, to the tokens of the reference picture. */
  readonly image: boolean;
}

const BIG = { dim: 5120, mlp: 13_824, heads: 40, layers: 40, frequencies: 128 } as const;
export const WAN_SIZES = {
  't2v-1.3b': { dim: 1536, mlp: 8960, heads: 12, layers: 30, frequencies: 128, image: false },
  't2v-14b': { ...BIG, image: false },
  'i2v-14b': { ...BIG, image: true },
} as const satisfies Readonly<Record<string, WanSizes>>;

/** Rotary pairs of a head for frame, row and column: 64 = 22 + 21 + 21. */
export function wanPairs(headDim: number): readonly [time: number, row: number, column: number] {
  const third = Math.floor(headDim / 6);
  return [headDim / 2 - 2 * third, third, third];
}

/**
 * Describes a Wan transformer with the original tensor names (Wan 2.1, wan/modules/model.py), run causally: a chunk attends to
 * the context chunks and itself.
 */
export function wanDescription(sizes: WanSizes): DitDescription {
  const { dim, heads, layers, mlp } = sizes;
  const plain = { kind: 'layer', eps: 1e-6 } as const;
  const [self, other] = ['blocks.{i}.self_attn.', 'blocks.{i}.cross_attn.'];
  const [time, row, column] = wanPairs(dim / heads);
  return {
    schema: 'talkmesh.dit/1',
    dim,
    heads,
    layers,
    mlp,
    patch: { size: [2, 2], enter: 'patch_embedding' },
    rope: {
      pairs: 'adjacent',
      axes: [
        { axis: 'frame', pairs: time, theta: 10_000 },
        { axis: 'row', pairs: row, theta: 10_000 },
        { axis: 'column', pairs: column, theta: 10_000 },
      ],
      contextChunks: 2,
    },
    time: {
      scale: 1000,
      frequencies: { theta: 10_000, count: sizes.frequencies },
      inner: 'time_embedding.0',
      hidden: dim,
      outer: 'time_embedding.2',
      projection: 'time_projection.1',
      output: ['outer', 'projection'],
    },
    modulation: {
      size: 7 * dim,
      layer: { offset: dim, stride: 0, table: 'blocks.{i}.modulation' },
      head: { offset: 0, stride: 0, table: 'head.modulation' },
    },
    attention: {
      norm: plain,
      qkv: { kind: 'separate', q: `${self}q`, k: `${self}k`, v: `${self}v` },
      qkNorm: { eps: 1e-6, q: `${self}norm_q.weight`, k: `${self}norm_k.weight` },
      out: `${self}o`,
    },
    cross: {
      norm: { ...plain, affine: 'blocks.{i}.norm3' },
      q: `${other}q`,
      kv: { kind: 'separate', k: `${other}k`, v: `${other}v` },
      qkNorm: { eps: 1e-6, q: `${other}norm_q.weight`, k: `${other}norm_k.weight` },
      out: `${other}o`,
      tokens: {
        kind: 'shared',
        embedding: { inner: 'text_embedding.0', activation: 'gelu-tanh', outer: 'text_embedding.2' },
      },
      ...(sizes.image ? { image: wanImage(other) } : {}),
    },
    feedForward: { norm: plain, up: 'blocks.{i}.ffn.0', activation: 'gelu-tanh', down: 'blocks.{i}.ffn.2' },
    head: { norm: plain, leave: 'head.head', order: 'channel-last', predicts: { kind: 'velocity' } },
  };
}

/** LiveTalk's sound: 4 frames of 14 hidden states of 768 values, side by side. */
export const LIVETALK_SOUND = { values: 4 * 14 * 768, width: 32 } as const;

/**
 * Describes LiveTalk's transformer (GAIR-NLP/LiveTalk, model/causal_wan_video_dit_omniavatar.py): Wan's, with a vector of the sound added before layers
 * 2 to half of them, and a ring of 15 latents, of which the first 9 stay, in chunks of 3.
 */
export function liveTalkDescription(sizes: WanSizes): DitDescription {
  return {
    ...ringDescription(sizes, { sink: 3, recent: 1 }),
    sound: {
      enter: 'audio_proj.proj',
      width: LIVETALK_SOUND.width,
      norm: { kind: 'layer', eps: 1e-5, affine: 'audio_proj.norm_out' },
      layer: 'audio_cond_projs.{i}',
      first: 2,
      count: Math.floor(sizes.layers / 2) - 1,
    },
  };
}

/**
 * Wan's transformer with keys and values of finished chunks at absolute positions, as Self-Forcing runs it
 * (guandeh17/Self-Forcing, wan/modules/causal_model.py and pipeline/causal_inference.py).
 */
export function ringDescription(
  sizes: WanSizes,
  kept: { readonly sink: number; readonly recent: number },
): DitDescription {
  const plain = wanDescription(sizes);
  return { ...plain, rope: { ...plain.rope, contextChunks: kept.sink + kept.recent }, context: { ...kept, level: 0 } };
}

function wanImage(prefix: string): NonNullable<NonNullable<DitDescription['cross']>['image']> {
  const norm = (at: string) => ({ kind: 'layer', eps: 1e-5, affine: `img_emb.proj.${at}` }) as const;
  return {
    kv: { kind: 'separate', k: `${prefix}k_img`, v: `${prefix}v_img` },
    kNorm: `${prefix}norm_k_img.weight`,
    embedding: {
      enter: norm('0'),
      inner: 'img_emb.proj.1',
      activation: 'gelu-erf',
      outer: 'img_emb.proj.3',
      leave: norm('4'),
    },
  };
}
