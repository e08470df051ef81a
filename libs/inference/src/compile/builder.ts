import { type DitActivation, type DitNorm, MeshError } from '@talkmesh/contracts';
import type { TensorInfo } from '../executor/executor.js';
import { OnnxGraph, ORT_DOMAIN } from '../executor/onnx-writer.js';
import type { WeightEntry, Weights } from './safetensors.js';
import type { CompiledSegment } from './types.js';

/** Gelu with the attribute `approximate` needs opset 20. */
const OPSET = 20;
const FLOAT = 1;
/** TensorProto.DataType of the types that the runtime can cast to float32. */
const ONNX_TYPE: Readonly<Record<string, { readonly code: number; readonly bytes: number }>> = {
  F32: { code: FLOAT, bytes: 4 },
  F16: { code: 10, bytes: 2 },
  BF16: { code: 16, bytes: 2 },
};

/** Part of a tensor: rows [from, to) of its first dimension. */
export interface Rows {
  readonly from: number;
  readonly to: number;
}

/**
 * Builds one segment from ONNX operators and weights, which are referred to by their names in the checkpoint. Rows of tokens are
 * [R, width], or [batch, R, width] in a batch; `lead` prepends the batch dimension to a shape.
 */
export class SegmentBuilder {
  readonly graph = new OnnxGraph(OPSET);
  readonly batch: number | undefined;
  readonly #weights: Weights;
  readonly #loaded = new Map<string, string>();
  readonly #inputs: TensorInfo[] = [];
  readonly #outputs: TensorInfo[] = [];

  constructor(weights: Weights, batch?: number) {
    this.#weights = weights;
    this.batch = batch;
  }

  lead<T extends number | string>(...dims: readonly T[]): (T | number)[] {
    return this.batch === undefined ? [...dims] : [this.batch, ...dims];
  }

  /** Index of the row dimension: 0, or 1 in a batch. */
  get rowAxis(): number {
    return this.batch === undefined ? 0 : 1;
  }

  /** Declares an input, with the batch dimension in front. Repeated calls for one name return the same input. */
  input(name: string, ...dims: readonly (number | string)[]): string {
    if (this.#inputs.some((input) => input.name === name)) return name;
    const shape = this.lead(...dims);
    this.#inputs.push({ name, type: 'float32', dims: shape });
    return this.graph.input(name, 'float32', shape);
  }

  output(value: string, name: string, ...dims: readonly (number | string)[]): void {
    const shape = this.lead(...dims);
    this.#outputs.push({ name, type: 'float32', dims: shape });
    this.graph.output(value, name, 'float32', shape);
  }

  finish(name: string): CompiledSegment {
    const weightsFolder = this.#loaded.size === 0 ? undefined : this.#weights.folder;
    return { name, onnx: this.graph.write(), inputs: this.#inputs, outputs: this.#outputs, weightsFolder };
  }

  op(type: string, ...inputs: readonly string[]): string {
    return this.graph.op(type, inputs);
  }

  ort(type: string, inputs: readonly string[], attributes: Parameters<OnnxGraph['op']>[2] = {}): string {
    return this.graph.op(type, inputs, attributes, ORT_DOMAIN);
  }

  reshape(value: string, ...dims: readonly number[]): string {
    return this.op('Reshape', value, this.graph.ints(...dims));
  }

  concat(values: readonly string[], axis: number): string {
    return values.length === 1 ? (values[0] as string) : this.graph.op('Concat', values, { axis });
  }

  /** Splits a value into parts of the given sizes along an axis. */
  split(value: string, axis: number, sizes: readonly number[]): string[] {
    return this.graph.ops('Split', [value, this.graph.ints(...sizes)], sizes.length, { axis });
  }

  slice(value: string, axis: number, from: number, to: number): string {
    return this.op('Slice', value, this.graph.ints(from), this.graph.ints(to), this.graph.ints(axis));
  }

  gather(value: string, axis: number, indices: readonly number[]): string {
    return this.graph.op('Gather', [value, this.graph.ints(...indices)], { axis });
  }

  constant(values: ArrayLike<number>, ...dims: readonly number[]): string {
    return this.graph.floats(values, dims);
  }

  /** @param wanted the shape that the graph needs, where the file may have more rows */
  dims(name: string, wanted?: readonly number[]): readonly number[] {
    return this.#weights.get(name, wanted).dims;
  }

  /**
   * A weight as float32, read from its file by the runtime. 16-bit weights get a Cast that the runtime folds at load.
   * @throws MeshError MODEL_INVALID when it is missing or has another shape or an unsupported type
   */
  weight(name: string, dims: readonly number[], rows?: Rows): string {
    const key = rows === undefined ? name : `${name}[${rows.from}:${rows.to}]`;
    const known = this.#loaded.get(key);
    if (known !== undefined) return known;
    const entry = this.#weights.get(name, dims);
    const count = (shape: readonly number[]): number => shape.reduce((product, dim) => product * dim, 1);
    // Learned tables and convolution kernels may have extra dimensions of one, which do not change the memory layout.
    if (count(entry.dims) !== count(dims) || squeezed(entry.dims, dims) === false)
      throw this.#wrong(entry, `is [${entry.dims}], but the description needs [${dims}]`);
    const type = ONNX_TYPE[entry.type];
    if (type === undefined) throw this.#wrong(entry, `is ${entry.type}; convert it to F32, F16 or BF16`);
    const value = this.#external(entry, key, dims, type, rows);
    this.#loaded.set(key, value);
    return value;
  }

  /** Concatenates learned vectors, flat. */
  table(name: string, count: number, width: number): string {
    const table = this.weight(name, [count, width]);
    return this.reshape(table, count * width);
  }

  #external(
    entry: WeightEntry,
    key: string,
    dims: readonly number[],
    type: { readonly code: number; readonly bytes: number },
    rows: Rows | undefined,
  ): string {
    const [first = 1, ...rest] = dims;
    const { from, to } = rows ?? { from: 0, to: first };
    const rowBytes = rest.reduce((product, dim) => product * dim, type.bytes);
    const name = this.graph.external({
      name: key,
      dataType: type.code,
      dims: [to - from, ...rest],
      file: entry.file,
      offset: entry.offset + from * rowBytes,
      bytes: (to - from) * rowBytes,
    });
    return type.code === FLOAT ? name : this.graph.op('Cast', [name], { to: FLOAT });
  }

  #wrong(entry: WeightEntry, what: string): MeshError {
    return new MeshError(
      'MODEL_INVALID',
      `${this.#weights.where}: tensor ${entry.name} ${what}; use a description and weights of the same model`,
    );
  }

  /** A linear layer over rows. @param width number of outputs @param part selects some of the outputs */
  linear(x: string, prefix: string, inputs: number, width: number, part?: Rows): string {
    const weight = this.weight(`${prefix}.weight`, [width, inputs], part);
    const bias = this.weight(`${prefix}.bias`, [width], part);
    return this.gemm(x, weight, bias, inputs, part === undefined ? width : part.to - part.from);
  }

  gemm(x: string, weight: string, bias: string, inputs: number, width: number): string {
    const product = (rows: string): string => this.graph.op('Gemm', [rows, weight, bias], { transB: 1 });
    if (this.batch === undefined) return product(x);
    return this.reshape(product(this.reshape(x, -1, inputs)), this.batch, -1, width);
  }

  activation(x: string, kind: DitActivation): string {
    if (kind === 'silu') return this.op('Mul', x, this.op('Sigmoid', x));
    return this.graph.op('Gelu', [x], { approximate: kind === 'gelu-tanh' ? 'tanh' : 'none' });
  }

  /** Norm over the last dimension, with the affine weights of the description if there are any. */
  norm(x: string, norm: DitNorm, width: number): string {
    const ones = (): string => this.constant(new Float32Array(width).fill(1), width);
    const scale = norm.affine === undefined ? ones() : this.weight(`${norm.affine}.weight`, [width]);
    const epsilon = { float: norm.eps };
    if (norm.kind === 'rms') return this.rms(x, scale, norm.eps);
    const inputs = norm.affine === undefined ? [x, scale] : [x, scale, this.weight(`${norm.affine}.bias`, [width])];
    return this.graph.op('LayerNormalization', inputs, { axis: -1, epsilon });
  }

  rms(x: string, scale: string, eps: number): string {
    return this.graph.op('SimplifiedLayerNormalization', [x, scale], { axis: -1, epsilon: { float: eps } });
  }

  /** norm(x) * scale + shift. `scale` already includes the added one. */
  modulated(x: string, norm: DitNorm, width: number, shift: string, scale: string): string {
    if (this.batch === undefined && norm.kind === 'layer' && norm.affine === undefined)
      return this.graph.op('LayerNormalization', [x, scale, shift], { axis: -1, epsilon: { float: norm.eps } });
    return this.op('Add', this.op('Mul', this.norm(x, norm, width), scale), shift);
  }

  /** Attention of queries [n, R, w] over keys and values [n, S, w], scaled by head width ** -0.5. */
  attention(q: string, k: string, v: string, heads: number): string {
    return this.ort('MultiHeadAttention', [q, k, v], { num_heads: heads });
  }

  /** [R, w] -> [1, R, w]; in a batch rows already have the batch dimension. */
  stacked(rows: string): string {
    return this.batch === undefined ? this.op('Unsqueeze', rows, this.graph.ints(0)) : rows;
  }

  unstacked(value: string): string {
    return this.batch === undefined ? this.op('Squeeze', value, this.graph.ints(0)) : value;
  }
}

function squeezed(a: readonly number[], b: readonly number[]): boolean {
  const without = (dims: readonly number[]): string => dims.filter((dim) => dim !== 1).join();
  if (without(a) === without(b)) return true;
  // A convolution over disjoint patches equals a linear layer over flattened patches.
  return a[0] === b[0] && b.length === 2;
}
