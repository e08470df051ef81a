/**
 * Nodes that the WebGPU provider of ONNX Runtime 1.30 computes wrongly, found in the graph's protobuf (onnx.proto3): a convolution
 * whose input channels divide by 3 but not by 4 and whose output channels divide by 4
 * (https://github.com/microsoft/onnxruntime/issues/29651).
 */

interface Node {
  readonly type: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/** Fields of ModelProto, GraphProto, NodeProto and TensorProto. */
const MODEL = { graph: 7 } as const;
const GRAPH = { node: 1, initializer: 5 } as const;
const NODE = { input: 1, output: 2, name: 3, type: 4 } as const;
const TENSOR = { dims: 1, name: 8 } as const;
const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

type Field = readonly [number: number, value: Buffer | number];

/** @returns names of the nodes that must run on the processor @throws Error when such a node has no name, or no protobuf is given */
export function wrongOnWebGpu(model: Uint8Array): string[] {
  const bytes = Buffer.from(model.buffer, model.byteOffset, model.byteLength);
  const [graph] = parts(bytes, MODEL.graph);
  if (graph === undefined) return [];
  const shapes = new Map(
    parts(graph, GRAPH.initializer).map((tensor) => [textOf(tensor, TENSOR.name), dimsOf(tensor)]),
  );
  const nodes = parts(graph, GRAPH.node).map(nodeOf);
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

const nodeOf = (node: Buffer): Node => ({
  type: textOf(node, NODE.type),
  name: textOf(node, NODE.name),
  inputs: parts(node, NODE.input).map(String),
  outputs: parts(node, NODE.output).map(String),
});

const textOf = (message: Buffer, field: number): string => parts(message, field)[0]?.toString('utf8') ?? '';

const parts = (message: Buffer, wanted: number): Buffer[] =>
  [...fieldsOf(message)].flatMap(([field, value]) => (field === wanted && typeof value !== 'number' ? [value] : []));

/** The dimensions, which may be packed. */
function dimsOf(tensor: Buffer): number[] {
  return [...fieldsOf(tensor)].flatMap(([field, value]) => {
    if (field !== TENSOR.dims) return [];
    if (typeof value === 'number') return [value];
    const dims: number[] = [];
    for (let at = 0; at < value.length; ) {
      const [dim, next] = varint(value, at);
      dims.push(dim);
      at = next;
    }
    return dims;
  });
}

function* fieldsOf(message: Buffer): Generator<Field> {
  for (let at = 0; at < message.length; ) {
    const [tag, start] = varint(message, at);
    const [field, wire] = [Math.floor(tag / 8), tag % 8];
    if (wire === WIRE.varint) {
      const [value, next] = varint(message, start);
      yield [field, value];
      at = next;
    } else if (wire === WIRE.bytes) {
      const [length, from] = varint(message, start);
      if (from + length > message.length) throw new Error('the graph is cut off');
      yield [field, message.subarray(from, from + length)];
      at = from + length;
    } else if (wire === WIRE.fixed32) at = start + 4;
    else if (wire === WIRE.fixed64) at = start + 8;
    else throw new Error('the graph is no protobuf');
  }
}

function varint(message: Buffer, from: number): [value: number, next: number] {
  let [value, factor, at] = [0, 1, from];
  for (;;) {
    const byte = message[at];
    if (byte === undefined) throw new Error('the graph is cut off');
    value += (byte & 127) * factor;
    factor *= 128;
    at += 1;
    if (byte < 128) return [value, at];
  }
}
