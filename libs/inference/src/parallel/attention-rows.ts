import type { Exchange as ExchangeName } from '../compile/index.js';
import { gatherHeads, gatherRows, gatherTokens, type ShardShape } from './collectives.js';
import type { Exchange } from './exchange.js';
import type { ExchangeKind } from './plan.js';

/** An intermediate tensor of a pass. */
export interface RankTensor {
  readonly data: Float32Array;
  readonly dims: readonly number[];
}

/** Named tensors of a pass. */
export type Environment = Map<string, RankTensor>;

/** Keys and values of one layer for all tokens of a chunk. With Ulysses, only the columns of this rank's heads. */
export interface LayerKeyValues {
  readonly keys: Float32Array;
  readonly values: Float32Array;
}

/** What a layer attends to besides the chunk itself: chunks in their order. */
export type LayerContext = readonly LayerKeyValues[];

/** Assembles the rows that attention needs: the context, this rank's rows and those of the other ranks. */
export class AttentionRows {
  readonly #exchange: Exchange;
  readonly #shape: ShardShape;
  readonly #tokens: number;
  readonly #width: number;
  /** Buffers for context and chunk, in this order. Every layer reuses them. */
  readonly #all: readonly [keys: Float32Array, values: Float32Array];

  /** @param contextChunks most chunks that a chunk attends to besides itself */
  constructor(exchange: Exchange, shape: ShardShape, kind: ExchangeKind, contextChunks: number) {
    this.#exchange = exchange;
    this.#shape = shape;
    this.#tokens = shape.ranks * shape.rows;
    this.#width = kind === 'ulysses' ? shape.dim / shape.ranks : shape.dim;
    const floats = (contextChunks + 1) * this.#tokens * this.#width;
    this.#all = [new Float32Array(floats), new Float32Array(floats)];
  }

  /**
   * Publishes this rank's rows and copies everything into place that does not depend on other ranks.
   * @returns a function that completes the exchange: it waits for the other ranks and returns the chunk's keys and values,
   *   valid until the next exchange, or undefined for an exchange without any
   */
  begin(name: ExchangeName, env: Environment, context: LayerContext): () => LayerKeyValues | undefined {
    if (name === 'to-tokens') return this.#toTokens(env);
    return name === 'gather' ? this.#gather(env, context) : this.#toHeads(env, context);
  }

  #gather(env: Environment, context: LayerContext): () => LayerKeyValues {
    const own = [take(env, 'k'), take(env, 'v')] as const;
    const part = this.#exchange.publish(...own);
    const chunk = this.#layOut(context);
    const { rank, rows, dim } = this.#shape;
    for (const [i, values] of own.entries()) chunk[i]?.set(values, rank * rows * dim);
    return () => {
      gatherRows(this.#exchange, this.#shape, part, chunk);
      return this.#finish(env, context, chunk);
    };
  }

  #toHeads(env: Environment, context: LayerContext): () => LayerKeyValues {
    const own = [take(env, 'q'), take(env, 'k'), take(env, 'v')] as const;
    const part = this.#exchange.publish(...own);
    const chunk = this.#layOut(context);
    return () => {
      const queries = new Float32Array(this.#tokens * this.#width);
      gatherHeads(this.#exchange, this.#shape, part, own, [queries, ...chunk]);
      env.set('q', { data: queries, dims: [this.#tokens, this.#width] });
      return this.#finish(env, context, chunk);
    };
  }

  #toTokens(env: Environment): () => undefined {
    const own = take(env, 'y');
    const part = this.#exchange.publish(own);
    return () => {
      const { rows, dim } = this.#shape;
      const data = new Float32Array(rows * dim);
      gatherTokens(this.#exchange, this.#shape, part, own, data);
      env.set('y', { data, dims: [rows, dim] });
      return undefined;
    };
  }

  /** Copies the context rows into place. @returns the buffers for the chunk's keys and values */
  #layOut(context: LayerContext): [Float32Array, Float32Array] {
    const size = this.#tokens * this.#width;
    const [keys, values] = this.#all;
    for (const [i, chunk] of context.entries()) {
      keys.set(chunk.keys, i * size);
      values.set(chunk.values, i * size);
    }
    const [from, to] = [context.length * size, (context.length + 1) * size];
    return [keys.subarray(from, to), values.subarray(from, to)];
  }

  #finish(
    env: Environment,
    context: LayerContext,
    [keys, values]: readonly [Float32Array, Float32Array],
  ): LayerKeyValues {
    const rows = (context.length + 1) * this.#tokens;
    const dims = [rows, this.#width];
    const [allKeys, allValues] = this.#all;
    env.set('k_all', { data: allKeys.subarray(0, rows * this.#width), dims });
    env.set('v_all', { data: allValues.subarray(0, rows * this.#width), dims });
    return { keys, values };
  }
}

function take(env: Environment, name: string): Float32Array {
  const tensor = env.get(name);
  if (tensor === undefined)
    throw new Error(`the cut graph starts an exchange without ${name}; check the stages that compileCut returns`);
  return tensor.data;
}
