/** Computations that are written in this library instead of in a graph. They run in the executor, as segments do. */

import type { TensorInfo, TensorType } from '../executor/tensor-types.js';
import { meshDecoder, meshReference } from '../mesh/mesh-kernels.js';
import { composeFrames, type Edit } from './compose-frames.js';
import { enlargeEdits } from './enlarge-edits.js';
import type { Kernel, KernelTensor } from './kernel.js';

export type { Kernel, KernelTensor } from './kernel.js';

export type KernelName = 'compose-frames' | 'enlarge-edits' | 'mesh-reference' | 'mesh-decoder';

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
    const of = floatsOf('compose-frames', inputs);
    const [luma, flow] = [of('luma'), of('flow')];
    const [frames = 0, fieldSize = 0] = flow.dims;
    const size = luma.dims.at(-1) ?? 0;
    const composition = { size, frames, fieldSize, edits: [...editsOf(inputs, of).values()] };
    const planes = { luma: luma.data, chroma: of('chroma').data };
    const data = composeFrames({ ...composition, ...planes, corners: of('corners').data, flow: flow.data });
    return { frames: { type: 'uint8', dims: [frames, data.length / Math.max(1, frames)], data } };
  },
};

/**
 * Turns the outputs of a decoder graph into those for a picture that is larger: luma [1, 1, S, S] and chroma [1, 2, S/2, S/2] of that picture,
 * own_luma and own_chroma of that of the model's own size, corners [k, 2], flow [n, s, s, 2] and k edits -> corners, flow and edits for it.
 */
const enlargeKernel: Kernel = {
  inputs: [
    free('luma', 'float32', 1, 1, 'size', 'size'),
    free('chroma', 'float32', 1, 2, 'half', 'half'),
    free('own_luma', 'float32', 1, 1, 'own', 'own'),
    free('own_chroma', 'float32', 1, 2, 'own half', 'own half'),
    free('corners', 'float32', 'edits', 2),
    free('flow', 'float32', 'frames', 'field', 'field', 2),
  ],
  outputs: [free('corners', 'float32', 'edits', 2), free('flow', 'float32', 'frames', 'field', 'field', 2)],
  run(inputs) {
    const of = floatsOf('enlarge-edits', inputs);
    const [luma, corners, flow] = [of('luma'), of('corners'), of('flow')];
    const edits = editsOf(inputs, of);
    const ownLuma = of('own_luma');
    const own = { luma: ownLuma.data, chroma: of('own_chroma').data };
    const larger = { luma: luma.data, chroma: of('chroma').data };
    const [size = 0, frames = 0] = [luma.dims.at(-1), flow.dims[0]];
    const scale = size / (ownLuma.dims.at(-1) ?? 0);
    const pictures = { scale, size, own, larger, frames };
    const made = enlargeEdits({ ...pictures, edits: [...edits.values()], corners: corners.data });
    const results: Record<string, KernelTensor> = {
      corners: { ...corners, data: corners.data.map((place) => place * scale) },
      flow: { ...flow, data: flow.data.map((offset) => offset * scale) },
    };
    for (const [i, name] of [...edits.keys()].entries()) {
      const { values, height, width } = made[i] as Edit;
      results[name] = { type: 'float32', dims: [frames, 6, height, width], data: values };
    }
    return results;
  },
};

type Floats = KernelTensor & { readonly data: Float32Array };

function floatsOf(kernel: string, inputs: Readonly<Record<string, KernelTensor>>): (name: string) => Floats {
  return (name) => {
    const tensor = inputs[name];
    if (tensor === undefined || !(tensor.data instanceof Float32Array))
      throw new Error(`${kernel} needs the float32 input ${name}; check the outputs of the decoder graph`);
    return { ...tensor, data: tensor.data };
  };
}

/** Edits by the names of their inputs. */
function editsOf(inputs: Readonly<Record<string, KernelTensor>>, of: (name: string) => Floats): Map<string, Edit> {
  const names = Object.keys(inputs).filter((name) => name.startsWith(EDIT_PREFIX));
  return new Map(
    names.map((name): [string, Edit] => {
      const { data, dims } = of(name);
      return [name, { values: data, height: dims[2] ?? 0, width: dims[3] ?? 0 }];
    }),
  );
}

export const KERNELS: Readonly<Record<KernelName, Kernel>> = {
  'compose-frames': composeKernel,
  'enlarge-edits': enlargeKernel,
  'mesh-reference': meshReference,
  'mesh-decoder': meshDecoder,
};
