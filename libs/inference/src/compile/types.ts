/** Inputs and outputs of the graph compiler. All tensors are float32; rows are tokens, ordered by latent frame. */
import type { TensorInfo } from '../executor/executor.js';

/** Sizes that the weights do not determine. Tokens of a chunk: latentFrames * (height / patch) * (width / patch). */
export interface DitGeometry {
  readonly latentFrames: number;
  /** Channels of the latents that are denoised. */
  readonly channels: number;
  /** Channels that enter beside the latents and stay as they are, such as those of a reference picture and its mask. */
  readonly given?: number;
  readonly height: number;
  readonly width: number;
  /** Condition tokens, per latent frame (audio) or in total (context). Omitted when the model has none. */
  readonly condition?: { readonly tokens: number; readonly dim: number };
  /** Values of the sound for each latent frame, for models with a vector of the sound. */
  readonly sound?: number;
  /** Tokens of an image encoder, for models with a second cross-attention. */
  readonly image?: { readonly tokens: number; readonly dim: number };
}

/** One ONNX graph. Weights stay in their files: load the bytes with `weightsFolder` as the folder of external data. */
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
  /**
   * Number of sessions in one run, each with its own K/V, modulation and condition. It becomes the first dimension of
   * every input.
   */
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
  /** Whether the end of a layer and the beginning of the next are one segment. */
  readonly fuse?: boolean;
  /**
   * Whether keys and values have a segment before that of the queries, so that their exchange overlaps with the latter.
   */
  readonly splitQuery?: boolean;
}

/**
 * The exchanges between ranks. Shards are [T / N, dim], in rank order.
 * - `gather`: `k`, `v` of all ranks -> `k_all`, `v_all` [M + T, dim]: the context's chunks (M = 0 without any), then this chunk.
 * - `to-heads`: -> `q` [T, dim / N], `k_all`, `v_all` [M + T, dim / N] of this rank's heads (columns r * dim / N ..).
 * - `to-tokens`: `y` [T, dim / N] of all ranks -> `y` [T / N, dim] of this rank's tokens.
 */
export type Exchange = 'gather' | 'to-heads' | 'to-tokens';

/**
 * A stage runs when the exchange that it awaits is complete. Its inputs are found by name: `x`, `given`, `rope_cos` and `rope_sin` (this
 * rank's rows), `modulation` [K], the outputs of `condition` and `sound`, the latest `h`, `q`, `k`, `v`, `n`, `y`, and the results of an exchange (`k_all`, `v_all`, ..). An output
 * `next_<name>` replaces <name>.
 */
export interface CutStage {
  readonly segment: CompiledSegment;
  readonly layer: number | undefined;
  readonly awaits: Exchange | undefined;
  /** The exchange that can start with the outputs of this stage. */
  readonly begins: Exchange | undefined;
}

/**
 * One rank's share of a pass. Keys and values of the chunk for the caches are `k`, `v` of each layer; with absolute positions the keys are
 * rotated.
 */
export interface CutGraph {
  readonly rank: number;
  readonly ranks: number;
  /** This rank's rows of the chunk, [from, to). */
  readonly tokens: { readonly from: number; readonly to: number };
  /** The latent frames of these rows, [from, to); their condition tokens are needed. */
  readonly frames: { readonly from: number; readonly to: number };
  /**
   * `condition` -> the condition inputs of the stages; runs once per chunk (audio) or session (context). Undefined
   * without conditions.
   */
  readonly condition: CompiledSegment | undefined;
  /** `sound` of these frames -> their vectors; runs once per chunk. Undefined for a model without it. */
  readonly sound: CompiledSegment | undefined;
  /** Stages in order; the last outputs `velocity` [T / N, C * h * w], rows as in `x`. */
  readonly stages: readonly CutStage[];
}
