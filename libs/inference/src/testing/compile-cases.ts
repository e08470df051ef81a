/** Networks with PyTorch's results, for tests. training/talkmesh_nano/export/compile_fixtures.py writes them. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { type DitDescription, ditDescription } from '@talkmesh/contracts';
import {
  type DitGeometry,
  loadCompiled,
  openWeights,
  readWeight,
  type Weights,
  wanDescription,
} from '../compile/index.js';
import type { CompiledSegment } from '../compile/types.js';
import type { Executor, Segment, TensorHandle } from '../executor/executor.js';

export interface Array32 {
  readonly values: Float32Array;
  readonly dims: readonly number[];
}
export type Arrays = Readonly<Record<string, Array32>>;

export interface FixtureCase {
  readonly name: string;
  readonly dit: DitDescription;
  readonly geometry: DitGeometry;
  readonly weights: Weights;
  /** `first`: without context; `later`: with two chunks of it. Inputs and PyTorch's outputs by name. */
  readonly cases: Readonly<Record<'first' | 'later', Arrays>>;
}

const FOLDER = fileURLToPath(new URL('../../src/testing/fixtures', import.meta.url));
const WAN = { dim: 48, mlp: 80, heads: 6, layers: 2, frequencies: 8 };

export async function fixtureCases(): Promise<FixtureCase[]> {
  const nano = ditDescription.parse(JSON.parse(await readFile(`${FOLDER}/nano.json`, 'utf8')));
  const motion = { latentFrames: 3, channels: 8, height: 2, width: 2, condition: { tokens: 4, dim: 128 } };
  const grid = { latentFrames: 3, channels: 4, height: 4, width: 4, condition: { tokens: 7, dim: 20 } };
  return Promise.all([
    readCase('nano', nano, motion),
    readCase('wan-t2v', wanDescription({ ...WAN, image: false }), grid),
    readCase('wan-i2v', wanDescription({ ...WAN, image: true }), { ...grid, image: { tokens: 5, dim: 16 } }),
  ]);
}

async function readCase(name: string, dit: DitDescription, geometry: DitGeometry): Promise<FixtureCase> {
  const weights = await openWeights(FOLDER, [`${name}.safetensors`]);
  const [first, later] = await Promise.all(['first', 'later'].map((which) => readArrays(weights, `io.${which}.`)));
  return { name, dit, geometry, weights, cases: { first: first as Arrays, later: later as Arrays } };
}

async function readArrays(weights: Weights, prefix: string): Promise<Arrays> {
  const names = [...weights.entries.keys()].filter((name) => name.startsWith(prefix));
  const found = names.map(async (name) => [
    name.slice(prefix.length),
    { values: await readWeight(weights, name), dims: weights.get(name).dims },
  ]);
  return Object.fromEntries(await Promise.all(found)) as Arrays;
}

/** A compiled segment is loaded once, on the first executor that runs it. */
const LOADED = new WeakMap<CompiledSegment, Promise<Segment>>();

/** Runs a segment once with the inputs that it needs, by name. @returns the values of all its outputs */
export async function runOnce(executor: Executor, compiled: CompiledSegment, inputs: Arrays): Promise<Arrays> {
  const known = LOADED.get(compiled) ?? loadCompiled(executor, compiled);
  LOADED.set(compiled, known);
  const segment = await known;
  const bound: Record<string, TensorHandle> = {};
  for (const { name } of compiled.inputs) {
    const array = inputs[name];
    if (array === undefined) throw new Error(`${compiled.name} needs ${name}; the test gives ${Object.keys(inputs)}`);
    bound[name] = executor.upload(array.values, 'float32', array.dims);
  }
  const names = compiled.outputs.map((output) => output.name);
  const outputs = await executor.run(segment, { inputs: bound, outputs: names });
  const values: Record<string, Array32> = {};
  for (const [name, handle] of Object.entries(outputs))
    values[name] = { values: (await executor.download(handle)) as Float32Array, dims: handle.dims };
  executor.release(...Object.values(bound), ...Object.values(outputs));
  return values;
}

/** Largest absolute difference of two arrays of the same shape; NaN counts as infinite. */
export function difference(a: Array32 | undefined, b: Array32 | undefined): number {
  if (a === undefined || b === undefined || a.dims.join() !== b.dims.join()) return Number.POSITIVE_INFINITY;
  let worst = 0;
  for (const [i, value] of a.values.entries()) {
    const distance = Math.abs(value - (b.values[i] as number));
    worst = Number.isNaN(distance) ? Number.POSITIVE_INFINITY : Math.max(worst, distance);
  }
  return worst;
}
