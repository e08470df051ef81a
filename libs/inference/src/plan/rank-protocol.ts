import type { CutGraph } from '../compile/index.js';
import type { OrtProvider } from '../ort-protocol.js';
import type { ShardShape } from './collectives.js';
import type { ExchangeMemory } from './exchange.js';
import type { ExchangeKind } from './plan.js';

/** What a rank thread is started with. */
export interface RankWorkerData {
  readonly shape: ShardShape;
  readonly exchange: ExchangeKind;
  /** Waits for the others only when their rows are needed; otherwise at once, for comparison. */
  readonly overlap: boolean;
  readonly memory: ExchangeMemory;
  /** How long it waits for another rank. */
  readonly deadlineMs: number;
  readonly cut: CutGraph;
  /** By step, [K]; only of the steps of this group. */
  readonly modulations: readonly (Float32Array | undefined)[];
  readonly threads: number;
  readonly provider: OrtProvider;
  /** Notes what it did when. */
  readonly timed: boolean;
}

/** One pass: the same, but for the rows, on all ranks of a group, and in the same order. */
export interface PassRequest {
  readonly op: 'pass';
  readonly call: number;
  /** The chunk it belongs to; what follows from its condition is kept until `end`. */
  readonly work: number;
  readonly step: number;
  /** This rank's rows, [T / N, C * h * w]. */
  readonly x: Float32Array;
  /** Condition tokens of the frames that these rows touch; with the first pass of a chunk. */
  readonly condition: Float32Array | undefined;
  /** Keys and values by their ids; c_0 has none before it. */
  readonly context: { readonly first: number; readonly previous: number } | undefined;
  /** Id of this pass's keys and values. */
  readonly makes: number;
  /** How far along the velocity the latents go; undefined: not at all. */
  readonly move: number | undefined;
}

export type RankRequest =
  | PassRequest
  | { readonly op: 'end'; readonly work: number }
  | { readonly op: 'free'; readonly keyValues: readonly number[] }
  | { readonly op: 'runs'; readonly call: number }
  | { readonly op: 'close' }
  /** Go at once, whatever waits. */
  | { readonly op: 'leave'; readonly code: number };

/** What took a pass's time on one rank, microseconds. */
export interface PassTimes {
  /** Inside the runtime. */
  readonly computeUs: number;
  /** For rows of other ranks. */
  readonly waitUs: number;
  /** Rows into and out of shared memory, context rows beside them, keys and values kept. */
  readonly copyUs: number;
}

export interface RankSpan {
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
  /** The rank cannot go on; `culprit`: the rank whose fault it is. */
  | { readonly type: 'failed'; readonly message: string; readonly culprit: number | undefined };
