import type { TensorData, TensorInfo, TensorType } from '../executor/tensor-types.js';

export interface KernelTensor {
  readonly type: TensorType;
  readonly dims: readonly number[];
  readonly data: TensorData;
}

export interface Kernel {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  /** @throws Error when an input is missing or has the wrong type or size */
  run(inputs: Readonly<Record<string, KernelTensor>>): Record<string, KernelTensor>;
}
