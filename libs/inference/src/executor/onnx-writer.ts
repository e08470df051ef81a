/** Writes ONNX models (onnx.proto3, protobuf wire format) without a protobuf library. */
import type { TensorType } from './executor.js';

/** TensorProto.DataType. */
const DATA_TYPE: Readonly<Record<TensorType, number>> = { float32: 1, uint8: 2, int64: 7 };
/** AttributeProto.AttributeType. */
const ATTRIBUTE = { float: 1, int: 2, string: 3, ints: 7 } as const;
const WIRE = { varint: 0, bytes: 2, fixed32: 5 } as const;
/** TensorProto.DataLocation EXTERNAL. */
const EXTERNAL = 1;
const IR_VERSION = 9;
export const ONNX_OPSET = 16;
/** onnxruntime's own operators. */
export const ORT_DOMAIN = 'com.microsoft';

class ProtoWriter {
  readonly #parts: Uint8Array[] = [];

  int(field: number, value: number | bigint): this {
    return this.#tag(field, WIRE.varint).#varint(value);
  }

  float(field: number, value: number): this {
    this.#tag(field, WIRE.fixed32).#parts.push(new Uint8Array(Float32Array.of(value).buffer));
    return this;
  }

  bytes(field: number, value: Uint8Array | string | ProtoWriter): this {
    const body =
      typeof value === 'string' ? new TextEncoder().encode(value) : value instanceof ProtoWriter ? value.done() : value;
    this.#tag(field, WIRE.bytes).#varint(body.length).#parts.push(body);
    return this;
  }

  done(): Uint8Array {
    return Buffer.concat(this.#parts);
  }

  #tag(field: number, wire: number): this {
    return this.#varint(field * 8 + wire);
  }

  #varint(value: number | bigint): this {
    let rest = BigInt.asUintN(64, BigInt(value));
    const bytes: number[] = [];
    do {
      const low = Number(rest & 127n);
      rest >>= 7n;
      bytes.push(rest > 0n ? low | 128 : low);
    } while (rest > 0n);
    this.#parts.push(Uint8Array.from(bytes));
    return this;
  }
}

type Attributes = Readonly<Record<string, Attribute>>;
type Attribute = number | string | readonly number[] | { readonly float: number };

/** A tensor whose values are in a file beside the model. */
export interface ExternalTensor {
  readonly name: string;
  /** TensorProto.DataType. */
  readonly dataType: number;
  readonly dims: readonly number[];
  readonly file: string;
  readonly offset: number;
  readonly bytes: number;
}

/** Builds one graph: declare inputs, add nodes, declare outputs, then `write`. Values are referred to by name. */
export class OnnxGraph {
  readonly #nodes: ProtoWriter[] = [];
  readonly #constants: ProtoWriter[] = [];
  readonly #inputs: ProtoWriter[] = [];
  readonly #outputs: ProtoWriter[] = [];
  readonly #opset: number;
  #names = 0;

  constructor(opset: number = ONNX_OPSET) {
    this.#opset = opset;
  }

  input(name: string, type: TensorType, dims: readonly (number | string)[]): string {
    this.#inputs.push(valueInfo(name, type, dims));
    return name;
  }

  /** Declares a value as an output of the graph under the given name. */
  output(value: string, name: string, type: TensorType, dims: readonly (number | string)[]): void {
    this.#node('Identity', [value], [name], {});
    this.#outputs.push(valueInfo(name, type, dims));
  }

  floats(values: ArrayLike<number>, dims: readonly number[]): string {
    return this.#constant('float32', Float32Array.from(values), dims);
  }

  /** A constant int64 vector, for shapes and axes. */
  ints(...values: readonly number[]): string {
    return this.#constant('int64', BigInt64Array.from(values, BigInt), [values.length]);
  }

  external(tensor: ExternalTensor): string {
    const proto = new ProtoWriter();
    for (const dim of tensor.dims) proto.int(1, dim);
    proto.int(2, tensor.dataType).bytes(8, tensor.name);
    const place = { location: tensor.file, offset: String(tensor.offset), length: String(tensor.bytes) };
    for (const [key, value] of Object.entries(place)) proto.bytes(13, new ProtoWriter().bytes(1, key).bytes(2, value));
    this.#constants.push(proto.int(14, EXTERNAL));
    return tensor.name;
  }

  /** Adds a node with one output and returns its name. An empty input name omits an optional input. */
  op(type: string, inputs: readonly string[], attributes: Attributes = {}, domain = ''): string {
    return this.ops(type, inputs, 1, attributes, domain)[0] as string;
  }

  /** Adds a node with several outputs and returns their names. */
  ops(type: string, inputs: readonly string[], outputs: number, attributes: Attributes = {}, domain = ''): string[] {
    const names = Array.from({ length: outputs }, () => this.#name(type));
    this.#node(type, inputs, names, attributes, domain);
    return names;
  }

  /** The serialized ModelProto. */
  write(): Uint8Array {
    const graph = new ProtoWriter();
    for (const node of this.#nodes) graph.bytes(1, node);
    graph.bytes(2, 'graph');
    for (const constant of this.#constants) graph.bytes(5, constant);
    for (const input of this.#inputs) graph.bytes(11, input);
    for (const output of this.#outputs) graph.bytes(12, output);
    const standard = new ProtoWriter().bytes(1, '').int(2, this.#opset);
    const own = new ProtoWriter().bytes(1, ORT_DOMAIN).int(2, 1);
    const model = new ProtoWriter().int(1, IR_VERSION).bytes(2, 'talkmesh').bytes(7, graph);
    return model.bytes(8, standard).bytes(8, own).done();
  }

  #name(prefix: string): string {
    return `${prefix}_${this.#names++}`;
  }

  #constant(type: TensorType, values: Float32Array | BigInt64Array, dims: readonly number[]): string {
    const name = this.#name('constant');
    const tensor = new ProtoWriter();
    for (const dim of dims) tensor.int(1, dim);
    const raw = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    this.#constants.push(tensor.int(2, DATA_TYPE[type]).bytes(8, name).bytes(9, raw));
    return name;
  }

  #node(
    type: string,
    inputs: readonly string[],
    outputs: readonly string[],
    attributes: Attributes,
    domain = '',
  ): void {
    const node = new ProtoWriter();
    for (const input of inputs) node.bytes(1, input);
    for (const output of outputs) node.bytes(2, output);
    node.bytes(3, this.#name(`node_${type}`)).bytes(4, type);
    for (const [name, value] of Object.entries(attributes)) node.bytes(5, attribute(name, value));
    if (domain !== '') node.bytes(7, domain);
    this.#nodes.push(node);
  }
}

function attribute(name: string, value: Attribute): ProtoWriter {
  const proto = new ProtoWriter().bytes(1, name);
  if (typeof value === 'number') return proto.int(3, value).int(20, ATTRIBUTE.int);
  if (typeof value === 'string') return proto.bytes(4, value).int(20, ATTRIBUTE.string);
  if ('float' in value) return proto.float(2, value.float).int(20, ATTRIBUTE.float);
  for (const item of value) proto.int(8, item);
  return proto.int(20, ATTRIBUTE.ints);
}

function valueInfo(name: string, type: TensorType, dims: readonly (number | string)[]): ProtoWriter {
  const shape = new ProtoWriter();
  for (const dim of dims)
    shape.bytes(1, typeof dim === 'string' ? new ProtoWriter().bytes(2, dim) : new ProtoWriter().int(1, dim));
  const tensor = new ProtoWriter().int(1, DATA_TYPE[type]).bytes(2, shape);
  return new ProtoWriter().bytes(1, name).bytes(2, new ProtoWriter().bytes(1, tensor));
}
