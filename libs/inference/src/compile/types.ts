/** What the graph compiler takes and gives. Everything is float32; rows are tokens, latent frame by latent frame. */
import type { TensorInfo } from '../executor.js';

/** Sizes that the weights leave open. Tokens of a chunk: latentFrames * (height / patch) * (width / patch). */
export interface DitGeometry {
  readonly latentFrames: number;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** Condition tokens: of each latent frame (audio), or in all (context). Left out when the model has none. */
  readonly condition?: { readonly tokens: number; readonly dim: number };
  /** Tokens of an image encoder, for models that have a second cross-attention for them. */
  readonly image?: { readonly tokens: number; readonly dim: number };
}

/** One ONNX graph. Weights stay in their files: load the bytes with `weightsFolder` as the place of external data. */
export interface CompiledSegment {
  /** Unique within a model and plan: `whole`, `layer3.post`, .. */
  readonly name: string;
  readonly onnx: Uint8Array;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  /** Undefined when the graph has no weights. */
  readonly weightsFolder: string | undefined;
}

export interface WholeOptions {
  /** Sessions in one run, each with its own K/V, modulation and condition: every input gets this dimension in front. */
  readonly batch?: number;
  /**
   * `inside`: the graph takes `condition` [F, Ta, Da] (audio) or [Tc, Dc] (context). `apart`: it takes the outputs of the
   * condition segment by their names, so that steps of one chunk share them.
   */
  readonly condition: 'inside' | 'apart';
}

export interface CutOptions {
  readonly rank: number;
  /** Must divide the tokens of a chunk; for `heads` also the heads. */
  readonly ranks: number;
  /** How attention sees all tokens: K/V all-gather, or queries, keys and values redistributed by heads (Ulysses). */
  readonly exchange: 'gather' | 'heads';
  /** One segment for the end of a layer and the beginning of the next. */
  readonly fuse?: boolean;
  /** Keys and values in a segment before the queries', so that their exchange overlaps with it. */
  readonly splitQuery?: boolean;
}

/**
 * What moves between ranks. Shards are [T / N, dim], in rank order.
 * - `gather`: `k`, `v` of all ranks -> `k_all`, `v_all` [M + T, dim]: context (c_0, c_{t-1}; M = 0 for c_0 itself), then this chunk.
 * - `to-heads`: -> `q` [T, dim / N], `k_all`, `v_all` [M + T, dim / N] of this rank's heads (columns r * dim / N ..).
 * - `to-tokens`: `y` [T, dim / N] of all ranks -> `y` [T / N, dim] of this rank's tokens.
 */
export type Exchange = 'gather' | 'to-heads' | 'to-tokens';

/**
 * A stage runs when what it awaits has arrived. Its inputs are found by name: `x` (this rank's rows), `modulation` [K], the
 * outputs of `condition`, the latest `h`, `q`, `k`, `v`, `n`, `y`, and what an exchange made (`k_all`, `v_all`, ..). An output
 * `next_<name>` replaces <name>.
 */
export interface CutStage {
  readonly segment: CompiledSegment;
  readonly layer: number | undefined;
  readonly awaits: Exchange | undefined;
  /** May start with the outputs of this stage. */
  readonly begins: Exchange | undefined;
}

/** One rank's share of a pass. Keys and values of the chunk for the caches are `k`, `v` of each layer (before rotary). */
export interface CutGraph {
  readonly rank: number;
  readonly ranks: number;
  /** This rank's rows of the chunk, [from, to). */
  readonly tokens: { readonly from: number; readonly to: number };
  /** The latent frames these touch, [from, to): the condition tokens it needs. */
  readonly frames: { readonly from: number; readonly to: number };
  /** `condition` -> what the stages take, once per chunk (audio) or session (context). Undefined without conditions. */
  readonly condition: CompiledSegment | undefined;
  /** In order; the last gives `velocity` [T / N, C * h * w], rows as in `x`. */
  readonly stages: readonly CutStage[];
}
