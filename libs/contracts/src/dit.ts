import { z } from 'zod';

const size = z.number().int().positive();
const eps = z.number().positive();
/** Name of a tensor in the weight file; `{i}` is replaced by the layer's number. */
const tensor = z.string().min(1);
/** Prefix of a linear layer: `<prefix>.weight` [out, in] and `<prefix>.bias` [out]. */
const linear = z.string().min(1);
const activation = z.enum(['gelu-tanh', 'gelu-erf', 'silu']);

const norm = z.object({
  kind: z.enum(['layer', 'rms']),
  eps,
  /** Prefix of `<prefix>.weight` (and, for `layer`, `<prefix>.bias`). Absent: the norm has no affine parameters. */
  affine: linear.optional(),
});

const qkv = z.discriminatedUnion('kind', [
  /** One linear layer [3 dim, dim] with the rows of q, k and v in this order. */
  z.object({ kind: z.literal('fused'), all: linear }),
  z.object({ kind: z.literal('separate'), q: linear, k: linear, v: linear }),
]);
const keysValues = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('fused'), all: linear }),
  z.object({ kind: z.literal('separate'), k: linear, v: linear }),
]);
/** Norm of queries and keys over the full width, before the split into heads. */
const qkNorm = z.object({ eps, q: tensor, k: tensor });

const cross = z.object({
  /** Norm of the input of the query projection. */
  norm,
  q: linear,
  kv: keysValues,
  out: linear,
  qkNorm: qkNorm.optional(),
  /**
   * `frame`: the tokens of a latent frame attend to that frame's condition tokens, to which a learned position embedding (`place`) may be
   * added. `shared`: every token attends to all condition tokens, which may first pass through two linear layers (`embedding`).
   */
  tokens: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('frame'), place: tensor.optional() }),
    z.object({
      kind: z.literal('shared'),
      embedding: z.object({ inner: linear, activation, outer: linear }).optional(),
    }),
  ]),
  /** Image tokens, with keys and values of their own but the same queries. Both attention results are added. */
  image: z
    .object({
      kv: keysValues,
      kNorm: tensor.optional(),
      /** Layer norm, two linear layers, layer norm: from the image encoder's width to dim. */
      embedding: z.object({ enter: norm, inner: linear, activation, outer: linear, leave: norm }),
    })
    .optional(),
  /** Learned factor of each slot (position within a latent frame), [slots]. */
  slotGate: tensor.optional(),
});

/**
 * Architecture of a diffusion transformer as data. Everything in which models differ is described here, so that the compiler contains
 * no code for a particular model. Tensor names are those of the checkpoint.
 */
export const ditDescription = z
  .object({
    schema: z.literal('talkmesh.dit/1'),
    dim: size,
    heads: size,
    layers: size,
    mlp: size,
    patch: z.object({
      /** Latent rows and columns that one token covers. */
      size: z.tuple([size, size]),
      /** Weight [dim, C * h * w], or that of a convolution, [dim, C, 1, h, w]. */
      enter: linear,
      /** Learned vector that is added to each slot, [slots, dim]. */
      slots: tensor.optional(),
      /** Learned vectors that are added to every token: the first rows of tables [rows, dim]. */
      added: z.array(z.object({ table: tensor, rows: size })).optional(),
    }),
    /** Rotary position embedding. Angle of pair j of an axis: position * theta ** (-j / pairs). The pairs of all axes fill half a head. */
    rope: z.object({
      pairs: z.enum(['half', 'adjacent']),
      axes: z
        .array(z.object({ axis: z.enum(['frame', 'row', 'column']), pairs: size, theta: z.number().gt(1) }))
        .min(1)
        .max(3),
      /** Earlier chunks that a chunk attends to. Positions are relative to this window, so they do not grow with the session. */
      contextChunks: z.number().int().nonnegative(),
    }),
    /**
     * Which chunks a chunk attends to besides itself. Absent: c_0 and the previous chunk, with the keys and values of their own pass at the same
     * noise level and with positions relative to the window. Present: the first `sink` chunks of the session and the `recent` ones before it, with
     * the absolute number of the latent frame as position, and with keys and values of one more pass over their finished latents at noise level
     * `level` (LiveTalk, Self-Forcing), or, without `level`, of their own pass at the same noise level (LiveAvatar).
     */
    context: z
      .object({
        sink: z.number().int().nonnegative(),
        recent: z.number().int().positive(),
        level: z.number().gte(0).lt(1).optional(),
      })
      .optional(),
    /**
     * Sound as one vector per latent frame: its values pass through `enter` (to `width` values) and `norm`. For each of `count` layers from `first` on,
     * `layer` makes a vector of it that is added to the frame's tokens before the layer; its `{i}` counts from 0.
     */
    sound: z
      .object({ enter: linear, width: size, norm, layer: linear, first: z.number().int().nonnegative(), count: size })
      .optional(),
    /**
     * Sound by a second cross-attention after some layers: the tokens of a latent frame attend to the frame's `tokens` tokens of sound. Their norm has no
     * weights; its shift and scale are the halves of `modulation`, applied to SiLU of one vector of the frame's sound. `{i}` counts the layers of `after`.
     */
    soundCross: z
      .object({
        after: z.array(z.number().int().nonnegative()).min(1),
        tokens: size,
        eps,
        modulation: linear,
        q: linear,
        k: linear,
        v: linear,
        out: linear,
        qkNorm,
      })
      .optional(),
    /** From the noise level t [1] in 0..1 to the modulation vector: sinusoids (cosines first), then two linear layers with SiLU between them. */
    time: z.object({
      scale: z.number().positive(),
      /** Frequencies from a tensor [count], or theta ** (-i / count). */
      frequencies: z.union([z.object({ tensor, count: size }), z.object({ theta: z.number().gt(1), count: size })]),
      inner: linear,
      /** Width between the two linear layers. */
      hidden: size,
      outer: linear,
      /** A third linear layer, applied to SiLU of the result of `outer`. */
      projection: linear.optional(),
      /** The parts of the modulation vector, in order. */
      output: z.array(z.enum(['t', 'outer', 'projection'])).min(1),
    }),
    /** Offsets in the modulation vector of a layer's six vectors (shift, scale and gate of attention, then of the MLP) and of the head's two. */
    modulation: z.object({
      size,
      t: z.number().int().nonnegative().optional(),
      layer: z.object({
        offset: z.number().int().nonnegative(),
        /** Distance from one layer to the next; 0 when all layers share the same six vectors. */
        stride: z.number().int().nonnegative(),
        /** Learned vectors that are added: six per layer. */
        table: tensor,
      }),
      head: z.object({
        offset: z.number().int().nonnegative(),
        /** Distance from shift to scale; 0 when both are the same vector. */
        stride: z.number().int().nonnegative(),
        table: tensor.optional(),
      }),
    }),
    attention: z.object({ norm, qkv, qkNorm: qkNorm.optional(), out: linear }),
    cross: cross.optional(),
    /** Linear layer from the flattened condition tokens of a latent frame to [slots * dim], added to the frame's tokens before the first layer. */
    entry: linear.optional(),
    /**
     * FiLM: the flattened condition tokens of a latent frame pass through `enter` and the activation; `layer` then gives the shift and the
     * scale that are added to those of the MLP's norm, for each layer.
     */
    film: z.object({ enter: linear, activation, layer: linear }).optional(),
    feedForward: z.object({ norm, up: linear, activation, down: linear }),
    head: z.object({
      norm,
      leave: linear,
      /** Order of the values of an output row: channels vary slowest, as in the input, or fastest. */
      order: z.enum(['channel-first', 'channel-last']),
      /** Learned factors [slots, C]: the input times these is added to the output. */
      skip: tensor.optional(),
      /** An `x0` prediction is clamped to +-limit and converted to velocity = (x - x0) / max(t, minT). */
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
    if (dit.dim % (2 * dit.heads) !== 0)
      wrong('heads', `dim ${dit.dim} does not divide into ${dit.heads} heads of even width`);
    const pairs = dit.rope.axes.reduce((sum, axis) => sum + axis.pairs, 0);
    if (pairs * 2 * dit.heads !== dit.dim)
      wrong('rope.axes', `${pairs} pairs do not fill half of a head of width ${dit.dim / dit.heads}`);
    const { context: seen, sound, soundCross } = dit;
    if (seen !== undefined && seen.sink + seen.recent !== dit.rope.contextChunks)
      wrong(
        'context',
        `keeps ${seen.sink} + ${seen.recent} chunks, but rope.contextChunks is ${dit.rope.contextChunks}`,
      );
    if (sound !== undefined && sound.first + sound.count > dit.layers)
      wrong('sound', `ends with layer ${sound.first + sound.count - 1} of ${dit.layers}`);
    const beyond = soundCross?.after.find((layer) => layer >= dit.layers);
    if (beyond !== undefined) wrong('soundCross.after', `names layer ${beyond} of ${dit.layers}`);
    const { layer, head, size: width, t } = dit.modulation;
    const ends = [
      layer.offset + (dit.layers - 1) * layer.stride + 6 * dit.dim,
      head.offset + head.stride + dit.dim,
      t === undefined ? 0 : t + 1,
    ];
    if (Math.max(...ends) > width)
      wrong('modulation.size', `the vectors end at ${Math.max(...ends)}, beyond the size ${width}`);
    const outer = dit.time.projection === undefined ? width - (dit.time.output.includes('t') ? 1 : 0) : dit.dim;
    if (outer < 1) wrong('modulation.size', 'leaves no values for the timestep embedding');
    if (dit.time.output.includes('projection') !== (dit.time.projection !== undefined))
      wrong('time.projection', 'must be present exactly when time.output contains "projection"');
    if (dit.head.predicts.kind === 'x0' && t === undefined)
      wrong('modulation.t', 'must be present, because an x0 prediction needs the offset of t');
    if ((dit.entry !== undefined || dit.film !== undefined) && dit.cross?.tokens.kind === 'shared')
      wrong(
        'cross.tokens',
        'must be of kind "frame" when entry or film is present, because both use the tokens of one latent frame',
      );
  });

export type DitDescription = z.infer<typeof ditDescription>;
export type DitNorm = z.infer<typeof norm>;
export type DitActivation = z.infer<typeof activation>;
export type DitCross = z.infer<typeof cross>;
