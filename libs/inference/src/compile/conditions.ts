/**
 * Computations that depend only on the conditions. They run once for all steps of a chunk (audio) or once per session
 * (context).
 */
import type { DitCross, DitDescription } from '@talkmesh/contracts';
import { Conditions, type DitParts, type Conditions as Found } from './blocks.js';

interface Computed {
  readonly value: string;
  readonly dims: readonly number[];
}

/** Computes, in this graph, all condition inputs of the layers for the tokens of `parts`. */
export function computedConditions(parts: DitParts): ReadonlyMap<string, Computed> {
  const { dit, geometry, build } = parts;
  const made = new Map<string, Computed>();
  if (!hasConditions(parts)) return made;
  const { tokens, dim: width } = geometry.condition as { tokens: number; dim: number };
  if (dit.cross?.tokens.kind === 'shared') {
    const input = build.input('condition', tokens, width);
    sharedTokens(parts, dit.cross, input, made);
    return made;
  }
  const frames = parts.frames.to - parts.frames.from;
  const input = build.input('condition', frames, tokens, width);
  const flat = build.reshape(input, ...build.lead(frames, tokens * width));
  if (dit.entry !== undefined) {
    const perFrame = build.linear(flat, dit.entry, tokens * width, parts.slots * dit.dim);
    const rows = build.reshape(perFrame, ...build.lead(frames * parts.slots, dit.dim));
    const first = parts.frames.from * parts.slots;
    const value = build.slice(rows, build.rowAxis, parts.tokens.from - first, parts.tokens.to - first);
    made.set('entry', { value, dims: [parts.rows, dit.dim] });
  }
  if (dit.film !== undefined) {
    const features = build.activation(build.linear(flat, dit.film.enter, tokens * width, dit.dim), dit.film.activation);
    for (let layer = 0; layer < dit.layers; layer++) {
      const value = build.linear(features, parts.name(dit.film.layer, layer), dit.dim, 2 * dit.dim);
      made.set(`film.${layer}`, { value, dims: [frames, 2 * dit.dim] });
    }
  }
  if (dit.cross !== undefined) frameTokens(parts, dit.cross, input, made);
  return made;
}

/**
 * Computes what the sound adds before layers, `sound` [F, values] -> `sound.<layer>` [F, dim], and what tokens hear after layers: `sound_tokens`
 * [F, tokens, dim] and `sound_whole` [F, dim] -> `sound_k.<layer>` and `sound_v.<layer>` [F, tokens, dim], `sound_shift.<layer>` and `sound_scale.<layer>` [F, dim].
 */
export function soundVectors(parts: DitParts): ReadonlyMap<string, Computed> {
  const { dit, geometry, build } = parts;
  const made = new Map<string, Computed>();
  if (dit.soundCross !== undefined) heardTokens(parts, dit.soundCross, made);
  if (dit.sound === undefined) return made;
  const { enter, width, norm, layer, first, count } = dit.sound;
  const frames = parts.frames.to - parts.frames.from;
  const values = geometry.sound ?? 0;
  const features = build.norm(build.linear(build.input('sound', frames, values), enter, values, width), norm, width);
  for (let i = 0; i < count; i++) {
    const value = build.linear(features, parts.name(layer, i), width, dit.dim);
    made.set(`sound.${first + i}`, { value, dims: [frames, dit.dim] });
  }
  return made;
}

function heardTokens(
  parts: DitParts,
  cross: NonNullable<DitDescription['soundCross']>,
  made: Map<string, Computed>,
): void {
  const { dit, build } = parts;
  const { dim } = dit;
  const frames = parts.frames.to - parts.frames.from;
  const heard = build.reshape(build.input('sound_tokens', frames, cross.tokens, dim), frames * cross.tokens, dim);
  const whole = build.activation(build.input('sound_whole', frames, dim), 'silu');
  const ones = build.constant(new Float32Array(dim).fill(1), dim);
  for (const [i, layer] of cross.after.entries()) {
    const both = build.linear(whole, parts.name(cross.modulation, i), dim, 2 * dim);
    const [shift, scale] = build.split(both, -1, [dim, dim]) as [string, string];
    made.set(`sound_shift.${layer}`, { value: shift, dims: [frames, dim] });
    made.set(`sound_scale.${layer}`, { value: build.op('Add', scale, ones), dims: [frames, dim] });
    const kv = { kind: 'separate', k: cross.k, v: cross.v } as const;
    const tokens = keysValues(parts, kv, cross.qkNorm.k, i, heard, dim, cross.qkNorm.eps);
    for (const [kind, value] of Object.entries(tokens)) {
      const dims = [frames, cross.tokens, dim];
      made.set(`sound_${kind}.${layer}`, { value: build.reshape(value, ...dims), dims });
    }
  }
}

/** Declares inputs with the names of the condition segment's outputs. */
export function conditionInputs(parts: DitParts): Found {
  const dims = new Map([...conditionDims(parts), ...soundDims(parts)]);
  return new Conditions((name) => {
    const shape = dims.get(name);
    return shape === undefined ? undefined : parts.build.input(name, ...shape);
  });
}

export function hasConditions({ dit, geometry }: Pick<DitParts, 'dit' | 'geometry'>): boolean {
  return (
    geometry.condition !== undefined && (dit.cross !== undefined || dit.entry !== undefined || dit.film !== undefined)
  );
}

function conditionDims(parts: DitParts): ReadonlyMap<string, readonly number[]> {
  const { dit, geometry } = parts;
  const dims = new Map<string, readonly number[]>();
  if (!hasConditions(parts)) return dims;
  const frames = parts.frames.to - parts.frames.from;
  const tokens = geometry.condition?.tokens ?? 0;
  if (dit.entry !== undefined) dims.set('entry', [parts.rows, dit.dim]);
  for (let layer = 0; layer < dit.layers; layer++) {
    if (dit.film !== undefined) dims.set(`film.${layer}`, [frames, 2 * dit.dim]);
    if (dit.cross === undefined) continue;
    const seen = dit.cross.tokens.kind === 'frame' ? [frames, tokens, dit.dim] : [tokens, dit.dim];
    for (const kind of ['k', 'v']) dims.set(`cross_${kind}.${layer}`, seen);
    if (dit.cross.image === undefined) continue;
    for (const kind of ['k', 'v']) dims.set(`image_${kind}.${layer}`, [geometry.image?.tokens ?? 0, dit.dim]);
  }
  return dims;
}

function soundDims({ dit, frames }: DitParts): Map<string, readonly number[]> {
  const { first = 0, count = 0 } = dit.sound ?? {};
  const vector = [frames.to - frames.from, dit.dim];
  const dims = new Map<string, readonly number[]>();
  for (let i = 0; i < count; i++) dims.set(`sound.${first + i}`, vector);
  const { after = [], tokens = 0 } = dit.soundCross ?? {};
  for (const layer of after) {
    for (const kind of ['shift', 'scale']) dims.set(`sound_${kind}.${layer}`, vector);
    for (const kind of ['k', 'v']) dims.set(`sound_${kind}.${layer}`, [frames.to - frames.from, tokens, dit.dim]);
  }
  return dims;
}

function frameTokens(parts: DitParts, cross: DitCross, input: string, made: Map<string, Computed>): void {
  const { dit, geometry, build } = parts;
  const { tokens, dim: width } = geometry.condition as { tokens: number; dim: number };
  const frames = parts.frames.to - parts.frames.from;
  const place = cross.tokens.kind === 'frame' ? cross.tokens.place : undefined;
  const placed = place === undefined ? input : build.op('Add', input, build.weight(place, [tokens, width]));
  const rows = build.reshape(placed, ...build.lead(frames * tokens, width));
  for (let layer = 0; layer < dit.layers; layer++) {
    const both = keysValues(parts, cross.kv, cross.qkNorm?.k, layer, rows, width, cross.qkNorm?.eps);
    for (const [kind, value] of Object.entries(both)) {
      const shaped = build.reshape(value, ...build.lead(frames, tokens, dit.dim));
      made.set(`cross_${kind}.${layer}`, { value: shaped, dims: [frames, tokens, dit.dim] });
    }
  }
}

function sharedTokens(parts: DitParts, cross: DitCross, input: string, made: Map<string, Computed>): void {
  const { dit, geometry, build } = parts;
  const embedding = cross.tokens.kind === 'shared' ? cross.tokens.embedding : undefined;
  const width = geometry.condition?.dim ?? 0;
  let rows = input;
  if (embedding !== undefined) {
    const inner = build.activation(build.linear(rows, embedding.inner, width, dit.dim), embedding.activation);
    rows = build.linear(inner, embedding.outer, dit.dim, dit.dim);
  }
  const image = cross.image === undefined ? undefined : imageTokens(parts, cross.image);
  for (let layer = 0; layer < dit.layers; layer++) {
    const inputs = embedding === undefined ? width : dit.dim;
    const both = keysValues(parts, cross.kv, cross.qkNorm?.k, layer, rows, inputs, cross.qkNorm?.eps);
    for (const [kind, value] of Object.entries(both))
      made.set(`cross_${kind}.${layer}`, { value, dims: [geometry.condition?.tokens ?? 0, dit.dim] });
    if (cross.image === undefined || image === undefined) continue;
    const seen = keysValues(parts, cross.image.kv, cross.image.kNorm, layer, image, dit.dim, cross.qkNorm?.eps);
    for (const [kind, value] of Object.entries(seen))
      made.set(`image_${kind}.${layer}`, { value, dims: [geometry.image?.tokens ?? 0, dit.dim] });
  }
}

function imageTokens(parts: DitParts, image: NonNullable<DitCross['image']>): string {
  const { build, dit, geometry } = parts;
  const { tokens, dim: width } = geometry.image ?? { tokens: 0, dim: 0 };
  const { enter, inner, activation, outer, leave } = image.embedding;
  const rows = build.norm(build.input('image', tokens, width), enter, width);
  const hidden = build.activation(build.linear(rows, inner, width, width), activation);
  return build.norm(build.linear(hidden, outer, width, dit.dim), leave, dit.dim);
}

function keysValues(
  parts: DitParts,
  kv: DitCross['kv'],
  norm: string | undefined,
  layer: number,
  rows: string,
  width: number,
  eps = 1e-6,
): { k: string; v: string } {
  const { build, dit } = parts;
  const linear = (prefix: string): string => build.linear(rows, parts.name(prefix, layer), width, dit.dim);
  let [k, v]: [string, string] =
    kv.kind === 'separate'
      ? [linear(kv.k), linear(kv.v)]
      : (build.split(build.linear(rows, parts.name(kv.all, layer), width, 2 * dit.dim), -1, [dit.dim, dit.dim]) as [
          string,
          string,
        ]);
  if (norm !== undefined) k = build.rms(k, build.weight(parts.name(norm, layer), [dit.dim]), eps);
  return { k, v };
}
