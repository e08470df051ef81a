/** Reads what a graph computes with which shapes from an ONNX file (onnx.proto3, protobuf wire format), without a protobuf library. */

export interface OnnxNode {
  readonly type: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, number | string | readonly number[]>;
}

export interface OnnxTensor {
  readonly name: string;
  /** TensorProto.DataType. */
  readonly dataType: number;
  readonly dims: readonly number[];
  /** Its values, little-endian; undefined when they are in another file or in typed fields. */
  readonly raw: Buffer | undefined;
  /** Whether its values are in another file. */
  readonly external: boolean;
}

export interface OnnxGraphContent {
  readonly nodes: readonly OnnxNode[];
  /** Constants and weights, by name. */
  readonly tensors: ReadonlyMap<string, OnnxTensor>;
}

/** Fields of ModelProto, GraphProto, NodeProto, AttributeProto and TensorProto. */
const MODEL = { graph: 7 } as const;
const GRAPH = { node: 1, initializer: 5 } as const;
const NODE = { input: 1, output: 2, name: 3, type: 4, attribute: 5 } as const;
const ATTRIBUTE = { name: 1, float: 2, int: 3, string: 4, ints: 8 } as const;
const TENSOR = { dims: 1, dataType: 2, name: 8, raw: 9, location: 14 } as const;
const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

type Field = readonly [number: number, value: Buffer | number];

/** @throws Error when no protobuf is given, or one that is cut off */
export function readOnnx(model: Uint8Array): OnnxGraphContent {
  const bytes = Buffer.from(model.buffer, model.byteOffset, model.byteLength);
  const [graph] = parts(bytes, MODEL.graph);
  if (graph === undefined) return { nodes: [], tensors: new Map() };
  const tensors = parts(graph, GRAPH.initializer).map(tensorOf);
  return {
    nodes: parts(graph, GRAPH.node).map(nodeOf),
    tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])),
  };
}

/** A constant's whole numbers. @throws Error when the file does not hold them as they are stored in memory */
export function integersOf({ name, raw }: OnnxTensor): number[] {
  if (raw === undefined) throw new Error(`the values of ${name} are not in the graph`);
  return Array.from({ length: raw.length / 8 }, (_, i) => Number(raw.readBigInt64LE(8 * i)));
}

/** The same for numbers of float32. */
export function floatsOf({ name, raw }: OnnxTensor): number[] {
  if (raw === undefined) throw new Error(`the values of ${name} are not in the graph`);
  return Array.from({ length: raw.length / 4 }, (_, i) => raw.readFloatLE(4 * i));
}

const nodeOf = (node: Buffer): OnnxNode => ({
  type: textOf(node, NODE.type),
  name: textOf(node, NODE.name),
  inputs: parts(node, NODE.input).map(String),
  outputs: parts(node, NODE.output).map(String),
  attributes: new Map(parts(node, NODE.attribute).map((part) => [textOf(part, ATTRIBUTE.name), attributeValue(part)])),
});

const tensorOf = (tensor: Buffer): OnnxTensor => ({
  name: textOf(tensor, TENSOR.name),
  dataType: integers(tensor, TENSOR.dataType)[0] ?? 0,
  dims: integers(tensor, TENSOR.dims),
  raw: parts(tensor, TENSOR.raw)[0],
  external: integers(tensor, TENSOR.location)[0] === 1,
});

function attributeValue(attribute: Buffer): number | string | readonly number[] {
  const [one] = integers(attribute, ATTRIBUTE.int);
  if (one !== undefined) return one;
  const [text] = parts(attribute, ATTRIBUTE.string);
  if (text !== undefined) return text.toString('utf8');
  for (const [field, value] of fieldsOf(attribute))
    if (field === ATTRIBUTE.float && typeof value !== 'number') return value.readFloatLE();
  return integers(attribute, ATTRIBUTE.ints);
}

const textOf = (message: Buffer, field: number): string => parts(message, field)[0]?.toString('utf8') ?? '';

const parts = (message: Buffer, wanted: number): Buffer[] =>
  [...fieldsOf(message)].flatMap(([field, value]) => (field === wanted && typeof value !== 'number' ? [value] : []));

/** Whole numbers of a field, which may be packed. */
function integers(message: Buffer, wanted: number): number[] {
  return [...fieldsOf(message)].flatMap(([field, value]) => {
    if (field !== wanted) return [];
    if (typeof value === 'number') return [value];
    const found: number[] = [];
    for (let at = 0; at < value.length; ) {
      const [one, next] = varint(value, at);
      found.push(one);
      at = next;
    }
    return found;
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
      continue;
    }
    const [length, from] =
      wire === WIRE.bytes
        ? varint(message, start)
        : wire === WIRE.fixed32
          ? [4, start]
          : wire === WIRE.fixed64
            ? [8, start]
            : [Number.NaN, start];
    if (Number.isNaN(length)) throw new Error('the graph is no protobuf');
    if (from + length > message.length) throw new Error('the graph is cut off');
    yield [field, message.subarray(from, from + length)];
    at = from + length;
  }
}

/** Negative numbers are stored as 64 bits in two's complement. */
function varint(message: Buffer, from: number): [value: number, next: number] {
  let [value, at] = [0n, from];
  for (let shift = 0n; ; shift += 7n) {
    const byte = message[at];
    if (byte === undefined) throw new Error('the graph is cut off');
    value |= BigInt(byte & 127) << shift;
    at += 1;
    if (byte < 128) return [Number(BigInt.asIntN(64, value)), at];
  }
}
