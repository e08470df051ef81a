/** The collective operations of a pass. All ranks must call the same operations in the same order. */
import type { Exchange } from './exchange.js';
import type { ExchangeKind } from './plan.js';

/** This rank's share of a chunk: each rank has `rows` tokens of width `dim`, in rank order. */
export interface ShardShape {
  readonly rank: number;
  readonly ranks: number;
  /** T / N. */
  readonly rows: number;
  readonly dim: number;
}

/**
 * Number of floats in the largest part that a rank publishes: the keys and values of its rows, for Ulysses also the
 * queries.
 */
export function partFloats(exchange: ExchangeKind, { rows, dim }: Pick<ShardShape, 'rows' | 'dim'>): number {
  return (exchange === 'ulysses' ? 3 : 2) * rows * dim;
}

/**
 * All-gather: copies the rows of the other ranks to their places. The caller places its own rows.
 * @param into one [ranks * rows, dim] buffer per tensor of the part
 */
export function gatherRows(exchange: Exchange, shape: ShardShape, part: number, into: readonly Float32Array[]): void {
  const size = shape.rows * shape.dim;
  for (const rank of others(shape)) {
    const theirs = exchange.take(part, rank);
    for (const [i, all] of into.entries()) all.set(theirs.subarray(i * size, (i + 1) * size), rank * size);
  }
  exchange.done(part, (shape.ranks - 1) * into.length * size);
}

/**
 * All-to-all from tokens to heads: gathers, from the rows of all ranks, the columns of this rank's heads.
 * @param own this rank's published [rows, dim] tensors @param into one [ranks * rows, dim / ranks] buffer per tensor
 */
export function gatherHeads(
  exchange: Exchange,
  shape: ShardShape,
  part: number,
  own: readonly Float32Array[],
  into: readonly Float32Array[],
): void {
  const { rank: me, rows, dim } = shape;
  const size = rows * dim;
  for (const rank of [me, ...others(shape)]) {
    const theirs = rank === me ? undefined : exchange.take(part, rank);
    for (const [i, heads] of into.entries()) {
      const source = theirs?.subarray(i * size, (i + 1) * size) ?? (own[i] as Float32Array);
      copyColumns(source, heads, shape, rank);
    }
  }
  exchange.done(part, ((shape.ranks - 1) * into.length * size) / shape.ranks);
}

/** Copies this rank's columns out of a rank's [rows, dim]. */
function copyColumns(source: Float32Array, heads: Float32Array, shape: ShardShape, rank: number): void {
  const { rank: me, ranks, rows, dim } = shape;
  const width = dim / ranks;
  for (let row = 0; row < rows; row++) {
    const from = row * dim + me * width;
    heads.set(source.subarray(from, from + width), (rank * rows + row) * width);
  }
}

/**
 * All-to-all from heads to tokens, the inverse of `gatherHeads`: gathers all heads of this rank's tokens.
 * @param own this rank's published [ranks * rows, dim / ranks] tensor @param into buffer of [rows, dim]
 */
export function gatherTokens(
  exchange: Exchange,
  shape: ShardShape,
  part: number,
  own: Float32Array,
  into: Float32Array,
): void {
  const { rank: me, ranks, rows, dim } = shape;
  const width = dim / ranks;
  for (const rank of [me, ...others(shape)]) {
    const theirs = rank === me ? own : exchange.take(part, rank);
    for (let row = 0; row < rows; row++) {
      const from = (me * rows + row) * width;
      into.set(theirs.subarray(from, from + width), row * dim + rank * width);
    }
  }
  exchange.done(part, (ranks - 1) * rows * width);
}

/** The other ranks, beginning after this one, so that not all ranks read rank 0 first. */
function others({ rank, ranks }: ShardShape): number[] {
  return Array.from({ length: ranks - 1 }, (_, i) => (rank + 1 + i) % ranks);
}
