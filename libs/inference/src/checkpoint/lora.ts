/** Merges low-rank adapters: weight + alpha / rank * B A, with A [rank, inputs] and B [outputs, rank]. */
import { open, rename } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { openWeights, readWeight, Weights } from '../compile/safetensors.js';
import { sameShape } from '../compile/tensors.js';
import { invalid } from '../compile/weight-file.js';

const PART =
  /^(?:base_model\.model\.|diffusion_model\.)?(.+)\.(lora_A|lora_B|lora_down|lora_up)(?:\.default)?\.weight$/;
const ALPHA = /^(?:base_model\.model\.|diffusion_model\.)?(.+)\.alpha$/;

interface Adapter {
  a?: string;
  b?: string;
  alpha?: string;
}

/**
 * Writes the weights that an adapter changes, as float32, to one `.safetensors` file. Tensors of the adapter that are weights themselves replace those of the network.
 * @param network the weights of the network, by their names in the description
 * @param alpha for adapters whose file does not say it; the rank is in the shapes
 * @returns number of tensors written
 * @throws MeshError MODEL_INVALID with file and tensor for parts that are missing, of another shape, or belong to no weight of the network
 */
export async function mergeLora(
  network: Weights,
  lora: Weights,
  alpha: number | undefined,
  path: string,
  onTensor: (done: number, total: number) => void,
): Promise<number> {
  const { adapters, whole } = partsOf(lora);
  const [problem] = problemsOf(network.entries, lora);
  if (problem !== undefined) throw invalid(lora.where, problem);
  const targets = [...adapters.keys()].map((name) => `${name}.weight`);
  const names = [...targets, ...whole];
  const header: Record<string, unknown> = {};
  let at = 0;
  for (const name of names) {
    const { dims } = network.get(name);
    const bytes = 4 * dims.reduce((product, dim) => product * dim, 1);
    header[name] = { dtype: 'F32', shape: dims, data_offsets: [at, at + bytes] };
    at += bytes;
  }
  const text = JSON.stringify(header);
  const body = Buffer.from(text + ' '.repeat(-Buffer.byteLength(text) & 7));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(body.length));
  const unfinished = `${path}.partial`;
  const file = await open(unfinished, 'w');
  try {
    await file.write(Buffer.concat([length, body]));
    for (const [done, name] of names.entries()) {
      const target = name.slice(0, -'.weight'.length);
      const adapter = adapters.get(target);
      const values =
        adapter === undefined || whole.includes(name)
          ? await readWeight(lora, name)
          : await merged(network, lora, name, adapter, alpha);
      await file.write(Buffer.from(values.buffer, values.byteOffset, values.byteLength));
      onTensor(done + 1, names.length);
    }
  } finally {
    await file.close();
  }
  await rename(unfinished, path);
  return names.length;
}

function partsOf(lora: Weights): { adapters: Map<string, Adapter>; whole: string[] } {
  const adapters = new Map<string, Adapter>();
  const whole: string[] = [];
  const adapterOf = (target: string): Adapter => {
    const known = adapters.get(target) ?? {};
    adapters.set(target, known);
    return known;
  };
  for (const name of lora.entries.keys()) {
    const [, target, part] = PART.exec(name) ?? [];
    const [, scaled] = ALPHA.exec(name) ?? [];
    if (target !== undefined) adapterOf(target)[part === 'lora_A' || part === 'lora_down' ? 'a' : 'b'] = name;
    else if (scaled !== undefined) adapterOf(scaled).alpha = name;
    else whole.push(name);
  }
  return { adapters, whole };
}

/** What an adapter changes, as far as its names and shapes tell. */
export interface LoraReport {
  /** Layers that it adapts, and tensors that it replaces. */
  readonly adapted: number;
  readonly replaced: number;
  readonly ranks: readonly number[];
  /** Empty: it fits the network. */
  readonly problems: readonly string[];
}

type Shapes = ReadonlyMap<string, { readonly dims: readonly number[] }>;

/** Compares an adapter with the shapes of a network, by its header. @throws MeshError MODEL_INVALID for a damaged or hostile file */
export async function checkLora(network: Shapes, path: string): Promise<LoraReport> {
  const lora = await openWeights(dirname(resolve(path)), [basename(path)]);
  const { adapters, whole } = partsOf(lora);
  const ranks = [...adapters.values()].flatMap(({ a }) => (a === undefined ? [] : [lora.get(a).dims[0] ?? 0]));
  const problems = problemsOf(network, lora);
  return { adapted: adapters.size, replaced: whole.length, ranks: [...new Set(ranks)], problems };
}

function problemsOf(network: Shapes, lora: Weights): string[] {
  const { adapters, whole } = partsOf(lora);
  const unknown = (name: string): string =>
    `changes ${name}, which the network does not have; use an adapter of this model`;
  const ofWhole = whole.flatMap((name) => {
    const wanted = network.get(name)?.dims;
    if (wanted === undefined) return [unknown(name)];
    const { dims } = lora.get(name);
    return sameShape(dims, wanted)
      ? []
      : [`tensor ${name} is [${dims}], not [${wanted}]; use an adapter of this model`];
  });
  const ofAdapters = [...adapters].flatMap(([target, { a, b }]) => {
    const name = `${target}.weight`;
    const wanted = network.get(name)?.dims;
    if (wanted === undefined) return [unknown(name)];
    if (a === undefined || b === undefined) return [`has only one of the two parts for ${name}; fetch the file again`];
    const [outputs = 0, inputs = 0] = wanted;
    const [down, up] = [lora.get(a).dims, lora.get(b).dims];
    if (down[1] === inputs && up.join() === [outputs, down[0]].join()) return [];
    return [
      `tensors ${a} [${down}] and ${b} [${up}] do not fit ${name} [${outputs},${inputs}]; use an adapter of this model`,
    ];
  });
  return [...ofAdapters, ...ofWhole];
}

async function merged(
  network: Weights,
  lora: Weights,
  name: string,
  { a, b, alpha: stated }: Adapter,
  given: number | undefined,
): Promise<Float32Array> {
  const [down, up, weight] = await Promise.all([
    readWeight(lora, a as string),
    readWeight(lora, b as string),
    readWeight(network, name),
  ]);
  const [outputs = 0, inputs = 0] = network.get(name).dims;
  const [rank = 0] = lora.get(a as string).dims;
  const alpha = stated === undefined ? given : (await readWeight(lora, stated))[0];
  if (alpha === undefined) throw invalid(lora.where, 'does not say its alpha; give it with --lora-alpha');
  const row = new Float64Array(inputs);
  for (let output = 0; output < outputs; output++) {
    row.fill(0);
    for (let k = 0; k < rank; k++) {
      const factor = (alpha / rank) * (up[output * rank + k] as number);
      for (let input = 0; input < inputs; input++)
        row[input] = (row[input] as number) + factor * (down[k * inputs + input] as number);
    }
    for (let input = 0; input < inputs; input++) {
      const place = output * inputs + input;
      weight[place] = (weight[place] as number) + (row[input] as number);
    }
  }
  return weight;
}

/** The network's weights, with those of a merged file in their place. */
export function withMerged(network: Weights, changed: Weights): Weights {
  const files = new Set([...network.entries.values(), ...changed.entries.values()].map(({ file }) => file));
  return new Weights(network.folder, [...files], new Map([...network.entries, ...changed.entries]));
}
