/**
 * The types that executors and kernels share. They have a module of their own so that neither imports the other's types
 * in a circle.
 */

/** Element type of a tensor. */
export type TensorType = 'float32' | 'uint8' | 'int64';
/** Values of a tensor, row-major. */
export type TensorData = Float32Array | Uint8Array | BigInt64Array;

/** A name in a graph's signature. A dimension that is a string may have any size. */
export interface TensorInfo {
  readonly name: string;
  readonly type: string;
  readonly dims: readonly (number | string)[];
}

/** Bytes of one value of each type. */
export const VALUE_BYTES: Readonly<Record<TensorType, number>> = { float32: 4, uint8: 1, int64: 8 };
