/**
 * The interface to a runtime that runs a model. Tensors live in the executor and callers refer to them by handles, so
 * caches never cross a thread or leave a device; only `upload`, `download` and `take` move values.
 */
import type { KernelSource } from '../kernels/kernels.js';
import type { TensorData, TensorInfo, TensorType } from './tensor-types.js';

export { type TensorData, type TensorInfo, type TensorType, VALUE_BYTES } from './tensor-types.js';

/** A tensor that the executor holds. Only that executor can use it; it is valid until `release`. */
export interface TensorHandle {
  readonly id: number;
  readonly type: TensorType;
  readonly dims: readonly number[];
  readonly bytes: number;
}

/** What an executor finds out about a graph or kernel when it loads it. */
export interface SegmentInfo {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  /** Operators that the device lacks and the processor runs instead, with the number of their nodes. */
  readonly onProcessor: Readonly<Record<string, number>>;
}

/** A loaded graph or kernel. */
export interface Segment extends SegmentInfo {
  readonly id: number;
  readonly name: string;
}

export interface Bindings {
  readonly inputs: Readonly<Record<string, TensorHandle>>;
  /** Outputs to return. The runtime may skip the computation of the others. */
  readonly outputs: readonly string[];
}

/** Operations on one stream run in order; operations on different streams may overlap. */
export type StreamId = number;

/** A point in a stream's sequence of operations. */
export interface ExecutorEvent {
  readonly stream: StreamId;
  readonly reached: Promise<void>;
}

export interface ExecutorStats {
  /** Number of tensors held. */
  readonly handles: number;
  readonly bytes: number;
  /** Runs so far, by segment name. */
  readonly runs: Readonly<Record<string, number>>;
}

export interface Executor extends AsyncDisposable {
  /** The provider as settings write it: `cpu`, `webgpu` or `cuda:<device>`. */
  readonly provider: string;
  /** By graph: the operators that the device lacks and the processor runs instead, with the number of their nodes. */
  readonly onProcessor: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /**
   * Loads a graph from a file or from memory, or a kernel by its name.
   * @param weightsFolder folder of the weight files that a graph from memory refers to
   * @throws MeshError MODEL_INVALID when the runtime cannot load it
   */
  load(source: string | Uint8Array | KernelSource, name: string, weightsFolder?: string): Promise<Segment>;
  /** Copies values into a new tensor. @throws RangeError when `dims` and the number of values do not match */
  upload(data: TensorData, type: TensorType, dims: readonly number[]): TensorHandle;
  /**
   * Runs a segment; the outputs are new tensors.
   * @throws MeshError INTERNAL naming the segment and the runtime's reason
   */
  run(segment: Segment, bindings: Bindings, stream?: StreamId): Promise<Record<string, TensorHandle>>;
  /** Marks the operations issued so far on a stream. */
  record(stream?: StreamId): ExecutorEvent;
  /** Resolves when the marked operations are complete. */
  await(event: ExecutorEvent): Promise<void>;
  /** A copy of a tensor's values. */
  download(handle: TensorHandle): Promise<TensorData>;
  /** Releases the tensor and returns its values, without a copy if they are in this process's memory. */
  take(handle: TensorHandle): Promise<TensorData>;
  /** Frees tensors. A released handle must not be used again. */
  release(...handles: readonly TensorHandle[]): void;
  stats(): Promise<ExecutorStats>;
  /** Rejects when the executor fails as a whole; never resolves. */
  readonly failed: Promise<never>;
}
