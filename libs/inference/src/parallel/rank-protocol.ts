import type { CutGraph } from '../compile/index.js';
import type { OrtProvider } from '../executor/ort-protocol.js';
import type { ShardShape } from './collectives.js';
import type { ExchangeMemory } from './exchange.js';
import type { ExchangeKind } from './plan.js';

/** The worker data of a rank thread. */
export interface RankWorkerData {
  readonly shape: ShardShape;
  readonly exchange: ExchangeKind;
  /** True: wait for other ranks only when their rows are needed. False: wait at once, to measure what overlap gains. */
  readonly overlap: boolean;
  readonly memory: ExchangeMemory;
  /** Longest wait for another rank. */
  readonly deadlineMs: number;
  readonly cut: CutGraph;
  /** By number of the noise level, [K]; defined only for those that this group runs. */
  readonly modulations: readonly (Float32Array | undefined)[];
  /** Most chunks that a chunk attends to besides itself. */
  readonly contextChunks: number;
  /** Condition tokens that all chunks share, for a model with shared ones. */
  readonly prompt?: Float32Array;
  readonly threads: number;
  readonly provider: OrtProvider;
  /** Whether to record spans for the timeline. */
  readonly timed: boolean;
}

/** What the passes of a chunk share, for the rows of one rank and the latent frames that they belong to. */
export interface ChunkShard {
  /** Condition tokens of the frames, for a model with tokens per frame. */
  readonly condition?: Float32Array;
  /** Sound of the frames, for a model with vectors of it. */
  readonly sound?: Float32Array;
  /** Further inputs by name, [T / N, width]. */
  readonly rows?: Readonly<Record<string, Float32Array>>;
}

/**
 * One pass. All ranks of a group receive the same passes in the same order; only the shards of rows differ.
 */
export interface PassRequest {
  readonly op: 'pass';
  readonly call: number;
  /** Id of the chunk. The rank keeps what follows from its shard until `end`. */
  readonly work: number;
  /** Number of the noise level. */
  readonly level: number;
  /** This rank's rows, [T / N, C * h * w]. */
  readonly x: Float32Array;
  /** Present in the first pass of a chunk. */
  readonly shard: ChunkShard | undefined;
  /** Ids of the context's keys and values, oldest first. */
  readonly context: readonly number[];
  /** Id under which the rank keeps this pass's keys and values; undefined: no chunk will attend to them. */
  readonly makes: number | undefined;
  /** Factor of the velocity that is added to the latents; undefined: the latents stay. */
  readonly move: number | undefined;
}

export type RankRequest =
  | PassRequest
  | { readonly op: 'end'; readonly work: number }
  | { readonly op: 'free'; readonly keyValues: readonly number[] }
  | { readonly op: 'runs'; readonly call: number }
  | { readonly op: 'close' }
  /** Exits at once, even if other requests are queued. */
  | { readonly op: 'leave'; readonly code: number };

/** How the time of a pass on one rank divides, microseconds, and what it received. */
export interface PassTimes {
  /** Time in the runtime. */
  readonly computeUs: number;
  /** Time waiting for rows of other ranks. */
  readonly waitUs: number;
  /** Time copying rows to and from shared memory, context rows, and keys and values to keep. */
  readonly copyUs: number;
  /** Rows of the other ranks. */
  readonly receivedBytes: number;
}

export interface RankSpan {
  /** `copies`: between ranks, or between processor and device; also waiting for them. */
  readonly kind: 'compute' | 'copies';
  readonly name: string;
  readonly startUs: number;
  readonly endUs: number;
}

export interface PassReply {
  readonly x: Float32Array;
  readonly times: PassTimes;
  readonly spans: readonly RankSpan[];
}

export type RankReply =
  | { readonly type: 'ready' }
  | { readonly type: 'answer'; readonly call: number; readonly value: unknown }
  /** The rank cannot continue; `culprit`: the rank that caused it. */
  | { readonly type: 'failed'; readonly message: string; readonly culprit: number | undefined };
