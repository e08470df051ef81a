import { z } from 'zod';

const size = z.number().int().positive();
const eps = z.number().positive();
/** A tensor's name in the weight file; `{i}` stands for the layer. */
const tensor = z.string().min(1);
/** Prefix of a linear layer: `<prefix>.weight` [out, in] and `<prefix>.bias` [out]. */
const linear = z.string().min(1);
const activation = z.enum(['gelu-tanh', 'gelu-erf', 'silu']);

const norm = z.object({
  kind: z.enum(['layer', 'rms']),
  eps,
  /** Prefix of `<prefix>.weight` (and, for `layer`, `<prefix>.bias`); left out: no affine. */
  affine: linear.optional(),
});

const qkv = z.discriminatedUnion('kind', [
  /** One linear [3 dim, dim]: q, k, v in this order. */
  z.object({ kind: z.literal('fused'), all: linear }),
  z.object({ kind: z.literal('separate'), q: linear, k: linear, v: linear }),
]);
const keysValues = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('fused'), all: linear }),
  z.object({ kind: z.literal('separate'), k: linear, v: linear }),
]);
/** Over the full width, before the split into heads. */
const qkNorm = z.object({ eps, q: tensor, k: tensor });

const cross = z.object({
  /** Before the queries; norms of their own have their own names. */
  norm,
  q: linear,
  kv: keysValues,
  out: linear,
  qkNorm: qkNorm.optional(),
  /**
   * `frame`: each latent frame hears its own condition tokens; `shared`: every token sees all of them. The tokens may first
   * get a learned place added (`frame`) or go through two linears (`shared`).
   */
  tokens: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('frame'), place: tensor.optional() }),
    z.object({
      kind: z.literal('shared'),
      embedding: z.object({ inner: linear, activation, outer: linear }).optional(),
    }),
  ]),
  /** A second set of tokens with keys and values of their own under the same queries; both results are added. */
  image: z
    .object({
      kv: keysValues,
      kNorm: tensor.optional(),
      /** Layer norm, two linears, layer norm: from the image encoder's width to dim. */
      embedding: z.object({ enter: norm, inner: linear, activation, outer: linear, leave: norm }),
    })
    .optional(),
  /** Learned factor for each slot (place in a latent frame), [slots]. */
  slotGate: tensor.optional(),
});

/**
 * A diffusion transformer's architecture as data. What differs between models is said here, so the compiler has no model's
 * name in it. Tensor names are those of the checkpoint.
 */
export const ditDescription = z
  .object({
    schema: z.literal('talkmesh.dit/1'),
    dim: size,
    heads: size,
    layers: size,
    mlp: size,
    patch: z.object({
      /** Latent rows and columns of one token. */
      size: z.tuple([size, size]),
      /** Weight [dim, C * h * w] or a convolution's [dim, C, 1, h, w]. */
      enter: linear,
      /** Learned vector of each slot, [slots, dim]. */
      slots: tensor.optional(),
    }),
    /** Angle of pair j of an axis: position * theta ** (-j / pairs). Pairs of all axes add up to half a head. */
    rope: z.object({
      pairs: z.enum(['half', 'adjacent']),
      axes: z
        .array(z.object({ axis: z.enum(['frame', 'row', 'column']), pairs: size, theta: z.number().gt(1) }))
        .min(1)
        .max(3),
      /** Chunks before this one that it may see; each keeps its place, so positions never grow. */
      contextChunks: z.number().int().nonnegative(),
    }),
    /** t [1] in 0..1 -> modulation: sinusoids (cos first), two linears with SiLU between, and what follows from them. */
    time: z.object({
      scale: z.number().positive(),
      /** From a tensor [count], or theta ** (-i / count). */
      frequencies: z.union([z.object({ tensor, count: size }), z.object({ theta: z.number().gt(1), count: size })]),
      inner: linear,
      /** Width between the two. */
      hidden: size,
      outer: linear,
      /** A linear of SiLU(outer's result). */
      projection: linear.optional(),
      /** The parts of the modulation vector, in order. */
      output: z.array(z.enum(['t', 'outer', 'projection'])).min(1),
    }),
    /** Where a layer's six vectors (shift, scale, gate of attention, then of the MLP) and the head's two stand in the modulation. */
    modulation: z.object({
      size,
      t: z.number().int().nonnegative().optional(),
      layer: z.object({
        offset: z.number().int().nonnegative(),
        /** From one layer to the next; 0 when all share the same six. */
        stride: z.number().int().nonnegative(),
        /** Learned, added: six vectors a layer. */
        table: tensor,
      }),
      head: z.object({
        offset: z.number().int().nonnegative(),
        /** From shift to scale; 0 when both are the same vector. */
        stride: z.number().int().nonnegative(),
        table: tensor.optional(),
      }),
    }),
    attention: z.object({ norm, qkv, qkNorm: qkNorm.optional(), out: linear }),
    cross: cross.optional(),
    /** Condition tokens of a latent frame, flattened, added to its tokens at entry: a linear to [slots * dim]. */
    entry: linear.optional(),
    /** Condition tokens of a latent frame, flattened -> activation(linear) -> per layer shift and scale of the MLP's norm, added. */
    film: z.object({ enter: linear, activation, layer: linear }).optional(),
    feedForward: z.object({ norm, up: linear, activation, down: linear }),
    head: z.object({
      norm,
      leave: linear,
      /** Order of an output row: channels slowest, as in the input, or fastest. */
      order: z.enum(['channel-first', 'channel-last']),
      /** Learned, times the input, added: [slots, C]. */
      skip: tensor.optional(),
      /** `x0` becomes velocity = (x - x0) / max(t, minT), with x0 held to +-limit. */
      predicts: z.discriminatedUnion('kind', [
        z.object({ kind: z.literal('velocity') }),
        z.object({ kind: z.literal('x0'), limit: z.number().positive(), minT: z.number().positive() }),
      ]),
    }),
  })
  .check((context) => {
    const dit = context.value;
    const wrong = (path: string, message: string): void => {
      context.issues.push({ code: 'custom', message, path: path.split('.'), input: dit });
    };
    if (dit.dim % (2 * dit.heads) !== 0) wrong('heads', `dim ${dit.dim} does not split into ${dit.heads} even heads`);
    const pairs = dit.rope.axes.reduce((sum, axis) => sum + axis.pairs, 0);
    if (pairs * 2 * dit.heads !== dit.dim)
      wrong('rope.axes', `${pairs} pairs do not fill a head of ${dit.dim / dit.heads}`);
    const { layer, head, size: width, t } = dit.modulation;
    const ends = [
      layer.offset + (dit.layers - 1) * layer.stride + 6 * dit.dim,
      head.offset + head.stride + dit.dim,
      t === undefined ? 0 : t + 1,
    ];
    if (Math.max(...ends) > width) wrong('modulation.size', `parts reach ${Math.max(...ends)}, beyond ${width}`);
    const outer = dit.time.projection === undefined ? width - (dit.time.output.includes('t') ? 1 : 0) : dit.dim;
    if (outer < 1) wrong('modulation.size', 'leaves nothing for the timestep embedding');
    if (dit.time.output.includes('projection') !== (dit.time.projection !== undefined))
      wrong('time.projection', 'is named exactly when the output has a projection');
    if (dit.head.predicts.kind === 'x0' && t === undefined)
      wrong('modulation.t', 'an x0 prediction needs the place of t in the modulation');
    if ((dit.entry !== undefined || dit.film !== undefined) && dit.cross?.tokens.kind === 'shared')
      wrong('cross.tokens', 'entry and film take the tokens of a latent frame; these are shared');
  });

export type DitDescription = z.infer<typeof ditDescription>;
export type DitNorm = z.infer<typeof norm>;
export type DitActivation = z.infer<typeof activation>;
export type DitCross = z.infer<typeof cross>;
