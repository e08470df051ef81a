/** Computations that are written in this library instead of in a graph. They run in the executor, as segments do. */

import type { TensorInfo, TensorType } from '../executor/tensor-types.js';
import { meshDecoder, meshReference } from '../mesh/mesh-kernels.js';
import { composeFrames, type Edit } from './compose-frames.js';
import type { Kernel, KernelTensor } from './kernel.js';

export type { Kernel, KernelTensor } from './kernel.js';

export type KernelName = 'compose-frames' | 'mesh-reference' | 'mesh-decoder';

/** Names a kernel to `Executor.load`. */
export interface KernelSource {
  readonly kernel: KernelName;
}

const free = (name: string, type: TensorType, ...dims: (number | string)[]): TensorInfo => ({ name, type, dims });

/** Prefix of the names of inputs that hold an edit; they come in the order of `corners`. */
export const EDIT_PREFIX = 'edit_';

/**
 * luma [1, 1, S, S], chroma [1, 2, S/2, S/2], corners [k, 2], flow [n, s, s, 2] and k edits [n, 6, h, w] -> frames [n,
 * S * S * 3 / 2].
 */
const composeKernel: Kernel = {
  inputs: [
    free('luma', 'float32', 1, 1, 'size', 'size'),
    free('chroma', 'float32', 1, 2, 'half', 'half'),
    free('corners', 'float32', 'edits', 2),
    free('flow', 'float32', 'frames', 'field', 'field', 2),
  ],
  outputs: [free('frames', 'uint8', 'frames', 'bytes')],
  run(inputs) {
    const of = (name: string): KernelTensor & { readonly data: Float32Array } => {
      const tensor = inputs[name];
      if (tensor === undefined || !(tensor.data instanceof Float32Array))
        throw new Error(`compose-frames needs the float32 input ${name}; check the outputs of the decoder graph`);
      return { ...tensor, data: tensor.data };
    };
    const [luma, flow] = [of('luma'), of('flow')];
    const [frames = 0, fieldSize = 0] = flow.dims;
    const edits = Object.keys(inputs)
      .filter((name) => name.startsWith(EDIT_PREFIX))
      .map((name): Edit => {
        const { data, dims } = of(name);
        return { values: data, height: dims[2] ?? 0, width: dims[3] ?? 0 };
      });
    const size = luma.dims.at(-1) ?? 0;
    const composition = { size, frames, fieldSize, edits, luma: luma.data, flow: flow.data };
    const data = composeFrames({ ...composition, chroma: of('chroma').data, corners: of('corners').data });
    return { frames: { type: 'uint8', dims: [frames, data.length / Math.max(1, frames)], data } };
  },
};

export const KERNELS: Readonly<Record<KernelName, Kernel>> = {
  'compose-frames': composeKernel,
  'mesh-reference': meshReference,
  'mesh-decoder': meshDecoder,
};
