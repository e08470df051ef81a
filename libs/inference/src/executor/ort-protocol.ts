import type { KernelSource } from '../kernels/kernels.js';
import type { TensorData, TensorType } from './executor.js';
import type { RuntimeSpan } from './runtime.js';

/** `cpu`, `webgpu` (the provider that onnxruntime-node carries), or the CUDA provider on the device with this number. */
export type OrtProvider = 'cpu' | 'webgpu' | { readonly cuda: number };

/** As settings write it. */
export const providerName = (provider: OrtProvider): string =>
  typeof provider === 'string' ? provider : `cuda:${provider.cuda}`;

/** The requests of the main thread, which the worker handles in order. The main thread assigns the ids of tensors. */
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

/** The worker data of the executor's thread. */
export interface OrtWorkerData {
  readonly threads: number;
  readonly provider: OrtProvider;
  /** Whether to report what each operation took. */
  readonly timed: boolean;
}

/** What operations took, by the names of the segments that ran. */
export interface OrtSpans {
  readonly spans: readonly (Omit<RuntimeSpan, 'name'> & { readonly name: string })[];
}

/** A request without `call` gets no reply. */
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
