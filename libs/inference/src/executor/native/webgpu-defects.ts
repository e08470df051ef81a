/**
 * Nodes that the WebGPU provider of ONNX Runtime 1.30 computes wrongly: a convolution whose input channels divide by 3 but not by 4
 * and whose output channels divide by 4 (https://github.com/microsoft/onnxruntime/issues/29651).
 */
import { readOnnx } from '../onnx-reader.js';

/** @returns names of the nodes that must run on the processor @throws Error when such a node has no name, or no protobuf is given */
export function wrongOnWebGpu(model: Uint8Array): string[] {
  const { nodes, tensors } = readOnnx(model);
  const shapes = new Map([...tensors].map(([name, { dims }]) => [name, dims]));
  // Weights in half precision are cast when the graph is loaded.
  for (const { type, inputs, outputs } of nodes) {
    const shape = shapes.get(inputs[0] ?? '');
    if (type === 'Cast' && shape !== undefined) shapes.set(outputs[0] ?? '', shape);
  }
  return nodes.flatMap(({ type, name, inputs }) => {
    const [outputChannels = 0, inputChannels = 0] = (type === 'Conv' && shapes.get(inputs[1] ?? '')) || [];
    const wrong = inputChannels > 3 && inputChannels % 3 === 0 && inputChannels % 4 !== 0 && outputChannels % 4 === 0;
    if (wrong && name === '') throw new Error('a convolution that WebGPU computes wrongly has no name; name the nodes');
    return wrong ? [name] : [];
  });
}
