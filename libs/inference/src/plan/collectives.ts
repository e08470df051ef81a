/** The exchanges of a pass, on top of published parts: all ranks call the same ones in the same order. */
import type { Exchange } from './exchange.js';
import type { ExchangeKind } from './plan.js';

/** A group's place in the chunk: `rows` tokens of width `dim` on each rank, in rank order. */
export interface ShardShape {
  readonly rank: number;
  readonly ranks: number;
  /** T / N. */
  readonly rows: number;
  readonly dim: number;
}

/** Floats of the largest part a rank publishes: keys and values of its rows, and with them its queries when heads move. */
export function partFloats(exchange: ExchangeKind, { rows, dim }: Pick<ShardShape, 'rows' | 'dim'>): number {
  return (exchange === 'ulysses' ? 3 : 2) * rows * dim;
}

/**
 * All ranks' rows, one after the other; own rows are not read back from shared memory.
 * @param tensors how many [rows, dim] tensors the part holds @param into per tensor, where [ranks * rows, dim] go
 */
export function gatherRows(exchange: Exchange, shape: ShardShape, part: number, into: readonly Float32Array[]): void {
  const size = shape.rows * shape.dim;
  for (const rank of others(shape)) {
    const theirs = exchange.take(part, rank);
    for (const [i, all] of into.entries()) all.set(theirs.subarray(i * size, (i + 1) * size), rank * size);
  }
  exchange.done(part);
}

/**
 * All ranks' rows, of them the columns of this rank's heads.
 * @param own this rank's [rows, dim] tensors, as published @param into per tensor, where [ranks * rows, dim / ranks] go
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
  exchange.done(part);
}

/** Picks this rank's columns out of a rank's [rows, dim]. */
function copyColumns(source: Float32Array, heads: Float32Array, shape: ShardShape, rank: number): void {
  const { rank: me, ranks, rows, dim } = shape;
  const width = dim / ranks;
  for (let row = 0; row < rows; row++) {
    const from = row * dim + me * width;
    heads.set(source.subarray(from, from + width), (rank * rows + row) * width);
  }
}

/**
 * The way back: from each rank's heads of all tokens, all heads of this rank's tokens.
 * @param own this rank's [ranks * rows, dim / ranks], as published @param into [rows, dim]
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
  exchange.done(part);
}

/** Starting behind oneself, so that not everybody reads rank 0 first. */
function others({ rank, ranks }: ShardShape): number[] {
  return Array.from({ length: ranks - 1 }, (_, i) => (rank + 1 + i) % ranks);
}
