/** Works out the shape of every value of a compiled graph. */
import { floatsOf, integersOf, type OnnxGraphContent, type OnnxNode } from '../executor/onnx-reader.js';

export type Shape = readonly number[];

/** What a rule may ask about a node. */
interface Context {
  readonly node: OnnxNode;
  /** Shape of input i. */
  shape(i: number): Shape;
  /** A constant input's whole numbers. */
  integers(i: number): number[];
  floats(i: number): number[];
  integer(attribute: string, otherwise: number): number;
  list(attribute: string): readonly number[] | undefined;
}

const product = (dims: Shape): number => dims.reduce((all, dim) => all * dim, 1);
const from = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

/** The shapes of a node's outputs; one for all when it has only one. */
type Rule = (context: Context) => Shape | Shape[];

const same: Rule = ({ shape }) => shape(0);
const broadcast: Rule = ({ node, shape }) => node.inputs.map((_, i) => shape(i)).reduce(joined);

function joined(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const [one, other] = [a[i - rank + a.length] ?? 1, b[i - rank + b.length] ?? 1];
    return one === 1 ? other : one;
  });
}

const reduced: Rule = ({ shape, integers, integer }) => {
  const dims = shape(0);
  const axes = integers(1).map((axis) => from(axis, dims.length));
  const kept = dims.map((dim, i) => (axes.includes(i) ? 1 : dim));
  return integer('keepdims', 1) === 1 ? kept : kept.filter((_, i) => !axes.includes(i));
};

const RULES: Readonly<Record<string, Rule>> = {
  ...Object.fromEntries(
    ['Cast', 'Clip', 'Cos', 'Gelu', 'Identity', 'Relu', 'Sigmoid', 'Sin', 'Sqrt', 'Tanh'].map((type) => [type, same]),
  ),
  ...Object.fromEntries(
    ['LayerNormalization', 'SimplifiedLayerNormalization', 'InstanceNormalization', 'RotaryEmbedding'].map((type) => [
      type,
      same,
    ]),
  ),
  ...Object.fromEntries(['Add', 'Sub', 'Mul', 'Div', 'Max'].map((type) => [type, broadcast])),
  ReduceL2: reduced,
  ReduceMean: reduced,
  Shape: ({ shape }) => [shape(0).length],
  Concat: ({ node, shape, integer }) => {
    const all = node.inputs.map((_, i) => shape(i));
    const [first = []] = all;
    const axis = from(integer('axis', 0), first.length);
    return first.map((dim, i) => (i === axis ? all.reduce((sum, dims) => sum + (dims[i] ?? 0), 0) : dim));
  },
  Split: ({ shape, integers, integer }) => {
    const dims = shape(0);
    const axis = from(integer('axis', 0), dims.length);
    return integers(1).map((size) => dims.map((dim, i) => (i === axis ? size : dim)));
  },
  Slice: ({ node, shape, integers }) => {
    const dims = [...shape(0)];
    if (node.inputs.length > 4) throw new Error('a Slice with steps has no rule');
    const [starts, ends, axes] = [integers(1), integers(2), integers(3)];
    for (const [i, named] of axes.entries()) {
      const axis = from(named, dims.length);
      const size = dims[axis] as number;
      const place = (at: number): number => Math.min(size, Math.max(0, at < 0 ? at + size : at));
      dims[axis] = Math.max(0, place(ends[i] as number) - place(starts[i] as number));
    }
    return dims;
  },
  Gather: ({ shape, integer }) => {
    const dims = shape(0);
    const axis = from(integer('axis', 0), dims.length);
    return [...dims.slice(0, axis), ...shape(1), ...dims.slice(axis + 1)];
  },
  Transpose: ({ shape, list }) => {
    const dims = shape(0);
    return (list('perm') ?? [...dims.keys()].reverse()).map((axis) => dims[axis] as number);
  },
  Unsqueeze: ({ shape, integers }) => {
    const rest = [...shape(0)];
    const axes = integers(1);
    const rank = rest.length + axes.length;
    const added = axes.map((axis) => from(axis, rank));
    return Array.from({ length: rank }, (_, i) => (added.includes(i) ? 1 : (rest.shift() as number)));
  },
  Squeeze: ({ shape, integers }) => {
    const axes = integers(1).map((axis) => from(axis, shape(0).length));
    return shape(0).filter((_, i) => !axes.includes(i));
  },
  Reshape: ({ shape, integers }) => {
    const dims = shape(0);
    const wanted = integers(1).map((dim, i) => (dim === 0 ? (dims[i] as number) : dim));
    const known = product(wanted.filter((dim) => dim !== -1));
    return wanted.map((dim) => (dim === -1 ? product(dims) / known : dim));
  },
  Pad: ({ shape, integers }) => {
    const [dims, pads] = [shape(0), integers(1)];
    return dims.map((dim, i) => dim + (pads[i] as number) + (pads[i + dims.length] as number));
  },
  Resize: ({ shape, floats }) => {
    const scales = floats(2);
    return shape(0).map((dim, i) => Math.floor(dim * (scales[i] as number)));
  },
  Gemm: ({ shape, integer }) => [
    shape(0)[integer('transA', 0)] as number,
    shape(1)[1 - integer('transB', 0)] as number,
  ],
  MatMul: ({ shape }) => {
    const [a, b] = [shape(0), shape(1)];
    return [...joined(a.slice(0, -2), b.slice(0, -2)), a.at(-2) as number, b.at(-1) as number];
  },
  // Queries [n, R, w] over keys [n, S, w] and values [n, S, v].
  MultiHeadAttention: ({ shape }) => [...shape(0).slice(0, 2), shape(2)[2] as number],
  Conv: ({ shape, list }) => {
    const [[frames = 0, , ...places], [channels = 0, , ...kernel]] = [shape(0), shape(1)];
    const [pads = [], strides = [], dilations = []] = ['pads', 'strides', 'dilations'].map(list);
    const moved = places.map((size, i) => {
      const around = (pads[i] ?? 0) + (pads[i + places.length] ?? 0);
      const reach = (dilations[i] ?? 1) * ((kernel[i] as number) - 1) + 1;
      return Math.floor((size + around - reach) / (strides[i] ?? 1)) + 1;
    });
    return [frames, channels, ...moved];
  },
};

/**
 * @param inputs shapes of the graph's inputs by name, without free dimensions
 * @returns the shape of every value by name: inputs, constants, weights and what the nodes make
 * @throws Error for an operator that the graph compiler does not emit, and for shapes that do not fit
 */
export function shapesOf(graph: OnnxGraphContent, inputs: ReadonlyMap<string, Shape>): ReadonlyMap<string, Shape> {
  const shapes = new Map<string, Shape>(inputs);
  for (const [name, { dims }] of graph.tensors) shapes.set(name, dims);
  for (const node of graph.nodes) {
    const rule = RULES[node.type];
    if (rule === undefined) throw new Error(`there is no rule for the shapes of ${node.type}; add one`);
    const made = rule(contextOf(node, graph, shapes));
    const each = Array.isArray(made[0]) ? (made as Shape[]) : [made as Shape];
    for (const [i, name] of node.outputs.entries()) {
      const shape = each[i];
      if (shape?.every((dim) => Number.isInteger(dim) && dim >= 0) !== true)
        throw new Error(`${node.type} ${node.name} makes [${shape}], which is no shape`);
      shapes.set(name, shape);
    }
  }
  return shapes;
}

function contextOf(node: OnnxNode, graph: OnnxGraphContent, shapes: ReadonlyMap<string, Shape>): Context {
  const constant = (i: number) => {
    const tensor = graph.tensors.get(node.inputs[i] ?? '');
    if (tensor === undefined) throw new Error(`${node.type} ${node.name} has no constant as input ${i}`);
    return tensor;
  };
  return {
    node,
    shape: (i) => {
      const found = shapes.get(node.inputs[i] ?? '');
      if (found === undefined) throw new Error(`${node.type} ${node.name} has no shape for input ${i}`);
      return found;
    },
    integers: (i) => integersOf(constant(i)),
    floats: (i) => floatsOf(constant(i)),
    integer: (name, otherwise) => Number(node.attributes.get(name) ?? otherwise),
    list: (name) => node.attributes.get(name) as readonly number[] | undefined,
  };
}
