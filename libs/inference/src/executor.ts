import type { KernelSource } from './kernels.js';

/**
 * One small interface to whatever runs a model. Tensors live with the executor and are named by handles, so caches never
 * cross a thread or leave a device; only `upload`, `download` and `take` move them.
 */
export type TensorType = 'float32' | 'uint8' | 'int64';
export type TensorData = Float32Array | Uint8Array | BigInt64Array;

/** A tensor the executor holds. Only that executor can use it; it lives until `release`. */
export interface TensorHandle {
  readonly id: number;
  readonly type: TensorType;
  readonly dims: readonly number[];
  readonly bytes: number;
}

/** A name in a graph's signature; a dimension that is a string is free. */
export interface TensorInfo {
  readonly name: string;
  readonly type: string;
  readonly dims: readonly (number | string)[];
}

/** A loaded graph. */
export interface Segment {
  readonly id: number;
  readonly name: string;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
}

export interface Bindings {
  readonly inputs: Readonly<Record<string, TensorHandle>>;
  /** Outputs wanted; others are not computed where the runtime can avoid it. */
  readonly outputs: readonly string[];
}

/** Work issued on one stream runs in order; streams may overlap. */
export type StreamId = number;

/** A point in a stream's work. */
export interface ExecutorEvent {
  readonly stream: StreamId;
  readonly reached: Promise<void>;
}

export interface ExecutorStats {
  /** Tensors held. */
  readonly handles: number;
  readonly bytes: number;
  /** Runs so far, by segment name. */
  readonly runs: Readonly<Record<string, number>>;
}

export interface Executor extends AsyncDisposable {
  /**
   * Loads a graph from a file or from memory, or a kernel by its name.
   * @param weightsFolder where the files lie that a graph from memory takes its weights from
   * @throws MeshError MODEL_INVALID when the runtime refuses it
   */
  load(source: string | Uint8Array | KernelSource, name: string, weightsFolder?: string): Promise<Segment>;
  /** Copies data in. @throws RangeError when dims and data do not match */
  upload(data: TensorData, type: TensorType, dims: readonly number[]): TensorHandle;
  /**
   * Runs a segment; the outputs are new tensors.
   * @throws MeshError INTERNAL naming the segment and the runtime's reason
   */
  run(segment: Segment, bindings: Bindings, stream?: StreamId): Promise<Record<string, TensorHandle>>;
  /** Marks the work issued so far on a stream. */
  record(stream?: StreamId): ExecutorEvent;
  /** Resolves when the marked work is done. */
  await(event: ExecutorEvent): Promise<void>;
  /** A copy of a tensor's values. */
  download(handle: TensorHandle): Promise<TensorData>;
  /** A tensor's values, handed over without a copy where they lie in this process; the handle is released. */
  take(handle: TensorHandle): Promise<TensorData>;
  /** Frees tensors. A released handle must not be used again. */
  release(...handles: readonly TensorHandle[]): void;
  stats(): Promise<ExecutorStats>;
  /** Rejects when the executor died; never resolves. */
  readonly failed: Promise<never>;
}

/** Bytes of one value. */
export const VALUE_BYTES: Readonly<Record<TensorType, number>> = { float32: 4, uint8: 1, int64: 8 };
