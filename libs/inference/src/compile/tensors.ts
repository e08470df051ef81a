import { type DitDescription, type DitNorm, MeshError } from '@talkmesh/contracts';
import { enteringChannels, patchValues, slotsOf } from './rope.js';
import type { Weights } from './safetensors.js';
import type { DitGeometry } from './types.js';

/** One tensor that a description needs. */
export interface ExpectedTensor {
  readonly dims: readonly number[];
  readonly role: 'weight' | 'bias' | 'norm' | 'table';
}

/**
 * Lists every tensor of a described model by its name in the checkpoint, to check a file's header without reading weights.
 * @param outputChannels channels of the velocity, when the input has more
 */
export function expectedTensors(
  dit: DitDescription,
  geometry: DitGeometry,
  outputChannels: number = geometry.channels,
): ReadonlyMap<string, ExpectedTensor> {
  const list = new TensorList(dit, geometry);
  list.outside(outputChannels);
  for (let layer = 0; layer < dit.layers; layer++) list.layer(layer);
  return list.tensors;
}

/**
 * Compares a checkpoint's header with its description.
 * @returns names of tensors that the description does not need
 * @throws MeshError MODEL_INVALID with the tensors that are missing or have another shape
 */
export function checkWeights(
  dit: DitDescription,
  weights: Weights,
  geometry: DitGeometry,
  outputChannels?: number,
): string[] {
  const expected = expectedTensors(dit, geometry, outputChannels);
  const problems: string[] = [];
  for (const [name, { dims }] of expected) {
    const found = weights.entries.get(name);
    if (found === undefined) problems.push(`${name} is missing`);
    else if (!sameShape(found.dims, dims)) problems.push(`${name} is [${found.dims}], not [${dims}]`);
  }
  if (problems.length > 0) {
    const more = problems.length > 5 ? ` and ${problems.length - 5} more` : '';
    throw new MeshError(
      'MODEL_INVALID',
      `${weights.where} does not hold the described model: ${problems.slice(0, 5).join('; ')}${more}; use the description that belongs to the checkpoint`,
    );
  }
  return [...weights.entries.keys()].filter((name) => !expected.has(name));
}

/**
 * Whether a tensor of a file is the expected one. Learned tables may have extra dimensions of one, and a convolution over disjoint
 * patches equals a linear layer over flattened patches.
 */
export function sameShape(found: readonly number[], wanted: readonly number[]): boolean {
  const essential = (dims: readonly number[]): string => dims.filter((dim) => dim !== 1).join();
  const count = (dims: readonly number[]): number => dims.reduce((product, dim) => product * dim, 1);
  if (essential(found) === essential(wanted)) return true;
  return found.length === 5 && wanted.length === 2 && found[0] === wanted[0] && count(found) === count(wanted);
}

class TensorList {
  readonly tensors = new Map<string, ExpectedTensor>();
  readonly #dit: DitDescription;
  readonly #geometry: DitGeometry;

  constructor(dit: DitDescription, geometry: DitGeometry) {
    this.#dit = dit;
    this.#geometry = geometry;
  }

  outside(outputChannels: number): void {
    const { dim, patch, time, modulation, head, entry, film, cross, sound, soundCross } = this.#dit;
    const slots = slotsOf(this.#dit, this.#geometry);
    const { tokens = 0, dim: width = 0 } = this.#geometry.condition ?? {};
    const outputs = patchValues(this.#dit, outputChannels);
    this.#linear(patch.enter, patchValues(this.#dit, enteringChannels(this.#geometry)), dim);
    if (patch.slots !== undefined) this.#add(patch.slots, 'table', slots, dim);
    for (const { table, rows } of patch.added ?? []) this.#add(table, 'table', rows, dim);
    if ('tensor' in time.frequencies) this.#add(time.frequencies.tensor, 'table', time.frequencies.count);
    this.#linear(time.inner, 2 * time.frequencies.count, time.hidden);
    const others = time.output.includes('t') ? 1 : 0;
    this.#linear(time.outer, time.hidden, time.projection === undefined ? modulation.size - others : dim);
    if (time.projection !== undefined) {
      const rest = modulation.size - others - (time.output.includes('outer') ? dim : 0);
      this.#linear(time.projection, dim, rest);
    }
    if (modulation.head.table !== undefined) this.#add(modulation.head.table, 'table', 2, dim);
    if (entry !== undefined) this.#linear(entry, tokens * width, slots * dim);
    if (film !== undefined) this.#linear(film.enter, tokens * width, dim);
    if (cross !== undefined) this.#crossOutside(cross);
    if (sound !== undefined) {
      this.#linear(sound.enter, this.#geometry.sound ?? 0, sound.width);
      this.#norm(sound.norm, sound.width);
      for (let i = 0; i < sound.count; i++) this.#linear(sound.layer.replace('{i}', String(i)), sound.width, dim);
    }
    if (soundCross !== undefined) this.#soundCross(soundCross);
    this.#norm(head.norm, dim);
    this.#linear(head.leave, dim, outputs);
    if (head.skip !== undefined) this.#add(head.skip, 'table', slots, outputs);
  }

  #crossOutside(cross: NonNullable<DitDescription['cross']>): void {
    const { dim } = this.#dit;
    const { tokens = 0, dim: width = 0 } = this.#geometry.condition ?? {};
    if (cross.tokens.kind === 'frame') {
      if (cross.tokens.place !== undefined) this.#add(cross.tokens.place, 'table', tokens, width);
    } else if (cross.tokens.embedding !== undefined) {
      this.#linear(cross.tokens.embedding.inner, width, dim);
      this.#linear(cross.tokens.embedding.outer, dim, dim);
    }
    if (cross.image === undefined) return;
    const { enter, inner, outer, leave } = cross.image.embedding;
    const imageWidth = this.#geometry.image?.dim ?? 0;
    this.#norm(enter, imageWidth);
    this.#linear(inner, imageWidth, imageWidth);
    this.#linear(outer, imageWidth, dim);
    this.#norm(leave, dim);
  }

  #soundCross({ after, modulation, q, k, v, out, qkNorm }: NonNullable<DitDescription['soundCross']>): void {
    const { dim } = this.#dit;
    for (const index of after.keys()) {
      const at = (template: string): string => template.replace('{i}', String(index));
      this.#linear(at(modulation), dim, 2 * dim);
      for (const prefix of [q, k, v, out]) this.#linear(at(prefix), dim, dim);
      for (const name of [qkNorm.q, qkNorm.k]) this.#add(at(name), 'norm', dim);
    }
  }

  layer(layer: number): void {
    const { dim, mlp, modulation, attention, cross, film, feedForward } = this.#dit;
    const at = (template: string): string => template.replace('{i}', String(layer));
    this.#add(at(modulation.layer.table), 'table', 6, dim);
    this.#norm(attention.norm, dim, at);
    const { qkv } = attention;
    if (qkv.kind === 'fused') this.#linear(at(qkv.all), dim, 3 * dim);
    else for (const prefix of [qkv.q, qkv.k, qkv.v]) this.#linear(at(prefix), dim, dim);
    for (const name of [attention.qkNorm?.q, attention.qkNorm?.k]) if (name) this.#add(at(name), 'norm', dim);
    this.#linear(at(attention.out), dim, dim);
    if (cross !== undefined) this.#crossLayer(cross, at);
    if (film !== undefined) this.#linear(at(film.layer), dim, 2 * dim);
    this.#norm(feedForward.norm, dim, at);
    this.#linear(at(feedForward.up), dim, mlp);
    this.#linear(at(feedForward.down), mlp, dim);
  }

  #crossLayer(cross: NonNullable<DitDescription['cross']>, at: (template: string) => string): void {
    const { dim } = this.#dit;
    const plain = cross.tokens.kind === 'frame' || cross.tokens.embedding === undefined;
    this.#norm(cross.norm, dim, at);
    this.#linear(at(cross.q), dim, dim);
    this.#keysValues(cross.kv, plain ? (this.#geometry.condition?.dim ?? 0) : dim, at);
    this.#linear(at(cross.out), dim, dim);
    for (const name of [cross.qkNorm?.q, cross.qkNorm?.k]) if (name) this.#add(at(name), 'norm', dim);
    if (cross.slotGate !== undefined) this.#add(at(cross.slotGate), 'table', slotsOf(this.#dit, this.#geometry));
    if (cross.image === undefined) return;
    this.#keysValues(cross.image.kv, dim, at);
    if (cross.image.kNorm !== undefined) this.#add(at(cross.image.kNorm), 'norm', dim);
  }

  #keysValues(kv: NonNullable<DitDescription['cross']>['kv'], width: number, at: (template: string) => string): void {
    const { dim } = this.#dit;
    if (kv.kind === 'fused') this.#linear(at(kv.all), width, 2 * dim);
    else for (const prefix of [kv.k, kv.v]) this.#linear(at(prefix), width, dim);
  }

  #norm(norm: DitNorm, width: number, at = (template: string): string => template): void {
    if (norm.affine === undefined) return;
    this.#add(`${at(norm.affine)}.weight`, 'norm', width);
    if (norm.kind === 'layer') this.#add(`${at(norm.affine)}.bias`, 'bias', width);
  }

  #linear(prefix: string, inputs: number, outputs: number): void {
    this.#add(`${prefix}.weight`, 'weight', outputs, inputs);
    this.#add(`${prefix}.bias`, 'bias', outputs);
  }

  #add(name: string, role: ExpectedTensor['role'], ...dims: readonly number[]): void {
    this.tensors.set(name, { role, dims });
  }
}
