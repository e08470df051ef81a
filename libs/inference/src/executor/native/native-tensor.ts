import type { RuntimeTensor } from '../runtime.js';
import { type TensorData, type TensorType, VALUE_BYTES } from '../tensor-types.js';
import type { Pointer } from './ort-api.js';

/** ONNXTensorElementDataType. */
export const ELEMENT_TYPE: Readonly<Record<TensorType, number>> = { float32: 1, uint8: 2, int64: 7 };

const ARRAY = { float32: Float32Array, uint8: Uint8Array, int64: BigInt64Array } as const;

/** @throws TypeError for other element types */
export function tensorTypeOf(elementType: number): TensorType {
  const types = Object.keys(ELEMENT_TYPE) as TensorType[];
  const found = types.find((type) => ELEMENT_TYPE[type] === elementType);
  if (found === undefined) throw new TypeError(`element type ${elementType} is not supported; use ${types.join(', ')}`);
  return found;
}

/** The OrtValue that owns reserved memory. It is released with the last tensor that lies in it. */
export interface Reserved {
  readonly owner: Pointer;
  tensors: number;
}

/**
 * A tensor in the processor's memory, in the device's, or in both: a copy in the other memory is made when it is first needed, and
 * kept, since tensors never change. Only tensors in reserved memory change; no copy of them is kept.
 */
export class NativeTensor implements RuntimeTensor {
  readonly type: TensorType;
  readonly dims: readonly number[];
  readonly bytes: number;
  /** Values in the processor's memory. */
  host: TensorData | undefined;
  /** OrtValue over `host`, which must not move or be freed before the value is released. */
  hostValue: Pointer | undefined;
  /** OrtValue in the device's memory. */
  deviceValue: Pointer | undefined;
  /** Reserved memory that `deviceValue` lies in, and its address there. */
  place: { readonly memory: Reserved; readonly address: Pointer } | undefined;
  released = false;

  constructor(type: TensorType, dims: readonly number[]) {
    this.type = type;
    this.dims = dims;
    this.bytes = dims.reduce((product, dim) => product * dim, VALUE_BYTES[type]);
  }

  /** @throws TypeError when the array does not hold values of this type */
  static of(data: TensorData, type: TensorType, dims: readonly number[]): NativeTensor {
    if (!(data instanceof ARRAY[type])) throw new TypeError(`${type} values must be given as ${ARRAY[type].name}`);
    const tensor = new NativeTensor(type, dims);
    tensor.host = data;
    return tensor;
  }

  emptyArray(): TensorData {
    return new ARRAY[this.type](this.bytes / VALUE_BYTES[this.type]);
  }
}
