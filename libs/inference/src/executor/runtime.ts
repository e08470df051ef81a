/** What runs graphs inside a thread. Its calls block the thread, so only worker threads may create one. */
import { nowUs } from '../timeline.js';
import type { OrtProvider } from './ort-protocol.js';
import type { TensorData, TensorInfo, TensorType } from './tensor-types.js';

export interface RuntimeOptions {
  /** Threads that the runtime uses for one run on the processor. */
  readonly threads: number;
  readonly provider: OrtProvider;
  /** Called after each operation that takes time. */
  readonly onSpan?: (span: RuntimeSpan) => void;
}

/** An operation on the runtime's stream: a run of a graph, or a copy of a tensor to the device's memory or out of the runtime's. */
export interface RuntimeSpan {
  readonly kind: 'compute' | 'copies';
  readonly name: 'run' | 'to device' | 'to processor';
  readonly startUs: number;
  readonly endUs: number;
  /** Of a copy. */
  readonly bytes?: number;
}

/** Does something that takes time and reports it. */
export function timedCopy<T>(
  { onSpan }: RuntimeOptions,
  name: Exclude<RuntimeSpan['name'], 'run'>,
  bytes: number,
  copy: () => T,
): T {
  if (onSpan === undefined) return copy();
  const startUs = nowUs();
  const result = copy();
  onSpan({ kind: 'copies', name, startUs, endUs: nowUs(), bytes });
  return result;
}

export interface RuntimeTensor {
  readonly type: TensorType;
  readonly dims: readonly number[];
  readonly bytes: number;
}

export interface RuntimeSegment {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  /** Operators that the device lacks and the processor runs instead, with the number of their nodes. */
  readonly onProcessor: Readonly<Record<string, number>>;
}

export interface Runtime<Tensor extends RuntimeTensor = RuntimeTensor, Graph extends RuntimeSegment = RuntimeSegment> {
  /**
   * @param source path of a file, or the bytes of a graph
   * @param weightsFolder folder of the weight files that a graph from memory refers to
   */
  load(source: string | Uint8Array, weightsFolder: string | undefined): Promise<Graph>;
  /** Takes over the array. @throws TypeError when the array does not hold values of this type */
  upload(data: TensorData, type: TensorType, dims: readonly number[]): Tensor;
  /** @returns the outputs in the order of the names */
  run(segment: Graph, inputs: Readonly<Record<string, Tensor>>, outputs: readonly string[]): Promise<Tensor[]>;
  /** The values; they must not be changed. */
  read(tensor: Tensor): TensorData;
  release(tensor: Tensor): void;
  /** Frees the graphs. All tensors must be released before. */
  close(): Promise<void>;
}
