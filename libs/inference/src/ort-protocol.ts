import type { TensorData, TensorType } from './executor.js';
import type { KernelSource } from './kernels.js';

/** `cpu`, or the CUDA provider on one device. */
export type OrtProvider = 'cpu' | { readonly cuda: number };

export interface OrtWorkerData {
  readonly threads: number;
  readonly provider: OrtProvider;
}

/** What the main thread asks of the worker, in order. Ids of tensors are given by the main thread. */
export type OrtRequest =
  | {
      readonly op: 'load';
      readonly segment: number;
      readonly name: string;
      readonly source: string | Uint8Array | KernelSource;
      readonly weightsFolder: string | undefined;
    }
  | {
      readonly op: 'upload';
      readonly tensor: number;
      readonly type: TensorType;
      readonly dims: readonly number[];
      readonly data: TensorData;
    }
  | {
      readonly op: 'run';
      readonly segment: number;
      readonly inputs: readonly (readonly [name: string, tensor: number])[];
      readonly outputs: readonly (readonly [name: string, tensor: number])[];
    }
  | { readonly op: 'download'; readonly tensor: number }
  | { readonly op: 'take'; readonly tensor: number }
  | { readonly op: 'release'; readonly tensors: readonly number[] }
  | { readonly op: 'fence' }
  | { readonly op: 'stats' }
  | { readonly op: 'close' };

/** `call` is missing for requests nobody waits for. */
export interface OrtCall {
  readonly call?: number;
  readonly request: OrtRequest;
}

export interface OrtReply {
  readonly call: number;
  readonly value?: unknown;
  readonly error?: string;
}

export interface TensorFacts {
  readonly type: TensorType;
  readonly dims: readonly number[];
}
