import type { Exchange as ExchangeName } from '../compile/index.js';
import { gatherHeads, gatherRows, gatherTokens, type ShardShape } from './collectives.js';
import type { Exchange } from './exchange.js';
import type { ExchangeKind } from './plan.js';

/** Rows of floats on their way through a pass. */
export interface RankTensor {
  readonly data: Float32Array;
  readonly dims: readonly number[];
}

/** Named tensors of a pass. */
export type Environment = Map<string, RankTensor>;

/** Keys and values of one layer, before rotary embedding: of all tokens and, by heads, this rank's columns only. */
export interface LayerKeyValues {
  readonly keys: Float32Array;
  readonly values: Float32Array;
}

/** What a layer sees besides the chunk. */
export interface LayerContext {
  readonly first: LayerKeyValues;
  readonly previous: LayerKeyValues;
}

/** Brings together the rows that attention needs: context, own rows and those of the other ranks. */
export class AttentionRows {
  readonly #exchange: Exchange;
  readonly #shape: ShardShape;
  readonly #tokens: number;
  readonly #width: number;
  /** Context and chunk, in order; used again by every layer. */
  readonly #all: readonly [keys: Float32Array, values: Float32Array];

  constructor(exchange: Exchange, shape: ShardShape, kind: ExchangeKind) {
    this.#exchange = exchange;
    this.#shape = shape;
    this.#tokens = shape.ranks * shape.rows;
    this.#width = kind === 'ulysses' ? shape.dim / shape.ranks : shape.dim;
    const floats = 3 * this.#tokens * this.#width;
    this.#all = [new Float32Array(floats), new Float32Array(floats)];
  }

  /**
   * Publishes this rank's rows and lays out what needs no other rank.
   * @returns what completes the exchange: it waits for the others, and gives the chunk's keys and values where there are any
   */
  begin(name: ExchangeName, env: Environment, context: LayerContext | undefined): () => LayerKeyValues | undefined {
    if (name === 'to-tokens') return this.#toTokens(env);
    return name === 'gather' ? this.#gather(env, context) : this.#toHeads(env, context);
  }

  #gather(env: Environment, context: LayerContext | undefined): () => LayerKeyValues {
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

  #toHeads(env: Environment, context: LayerContext | undefined): () => LayerKeyValues {
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

  /** Puts the context rows in place. @returns where the chunk's keys and values go */
  #layOut(context: LayerContext | undefined): [Float32Array, Float32Array] {
    const size = this.#tokens * this.#width;
    const [keys, values] = this.#all;
    if (context === undefined) return [keys.subarray(0, size), values.subarray(0, size)];
    const { first, previous } = context;
    keys.set(first.keys);
    keys.set(previous.keys, size);
    values.set(first.values);
    values.set(previous.values, size);
    return [keys.subarray(2 * size), values.subarray(2 * size)];
  }

  #finish(
    env: Environment,
    context: LayerContext | undefined,
    [keys, values]: readonly [Float32Array, Float32Array],
  ): LayerKeyValues {
    const rows = (context === undefined ? 1 : 3) * this.#tokens;
    const dims = [rows, this.#width];
    const [allKeys, allValues] = this.#all;
    env.set('k_all', { data: allKeys.subarray(0, rows * this.#width), dims });
    env.set('v_all', { data: allValues.subarray(0, rows * this.#width), dims });
    return { keys: keys.slice(), values: values.slice() };
  }
}

function take(env: Environment, name: string): Float32Array {
  const tensor = env.get(name);
  if (tensor === undefined) throw new Error(`the cut graph begins an exchange without ${name}`);
  return tensor.data;
}
