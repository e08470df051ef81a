import { type DitDescription, MeshError } from '@talkmesh/contracts';
import { Conditions, DitParts } from './blocks.js';
import { SegmentBuilder } from './builder.js';
import { computedConditions, conditionInputs, hasConditions, soundVectors } from './conditions.js';
import { enteringChannels, patchValues, tokensOf } from './rope.js';
import type { Weights } from './safetensors.js';
import type { CompiledSegment, DitGeometry, WholeOptions } from './types.js';

/**
 * Compiles the timestep embedding: `t` [1] in 0..1 -> `modulation` [K], everything that depends on the noise level alone.
 * @throws MeshError MODEL_INVALID when weights and description do not match, as all compile functions do
 */
export function compileTimestep(dit: DitDescription, weights: Weights): CompiledSegment {
  const build = new SegmentBuilder(weights);
  const { time, modulation, dim } = dit;
  const { count } = time.frequencies;
  const t = build.input('t', 1);
  const frequencies =
    'tensor' in time.frequencies
      ? build.weight(time.frequencies.tensor, [count])
      : build.constant(theta(time.frequencies.theta, count), count);
  const angle = build.reshape(
    build.op('Mul', build.op('Mul', t, build.constant([time.scale], 1)), frequencies),
    1,
    count,
  );
  const features = build.concat([build.op('Cos', angle), build.op('Sin', angle)], 1);
  const outerWidth = time.projection === undefined ? modulation.size - (time.output.includes('t') ? 1 : 0) : dim;
  const inner = build.activation(build.linear(features, time.inner, 2 * count, time.hidden), 'silu');
  const outer = build.linear(inner, time.outer, time.hidden, outerWidth);
  const made = { t: build.reshape(t, 1, 1), outer, projection: '' };
  if (time.projection !== undefined) {
    const width = build.dims(`${time.projection}.weight`)[0] as number;
    made.projection = build.linear(build.activation(outer, 'silu'), time.projection, dim, width);
  }
  const all = build.concat(
    time.output.map((part) => made[part]),
    1,
  );
  build.output(build.reshape(all, modulation.size), 'modulation', modulation.size);
  return build.finish('timestep');
}

function theta(base: number, count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => base ** (-i / count));
}

/**
 * Compiles `condition` [F, Ta, Da] or [Tc, Dc] (and `image`) -> the layers' condition inputs, which the steps of a chunk share.
 * Undefined when the model has no conditions.
 */
export function compileCondition(
  dit: DitDescription,
  weights: Weights,
  geometry: DitGeometry,
  options: { readonly batch?: number } = {},
): CompiledSegment | undefined {
  checkGeometry(dit, geometry);
  return conditionSegment(new DitParts(dit, geometry, new SegmentBuilder(weights, options.batch)), 'condition');
}

export function conditionSegment(parts: DitParts, name: string): CompiledSegment | undefined {
  if (!hasConditions(parts)) return undefined;
  for (const [output, { value, dims }] of computedConditions(parts)) parts.build.output(value, output, ...dims);
  return parts.build.finish(name);
}

/** Compiles `sound` [F, values] -> `sound.<layer>` [F, dim], which the steps of a chunk share. Undefined for a model without it. */
export function compileSound(
  dit: DitDescription,
  weights: Weights,
  geometry: DitGeometry,
): CompiledSegment | undefined {
  checkGeometry(dit, geometry);
  return soundSegment(new DitParts(dit, geometry, new SegmentBuilder(weights)));
}

export function soundSegment(parts: DitParts): CompiledSegment | undefined {
  const made = soundVectors(parts);
  if (made.size === 0) return undefined;
  for (const [output, { value, dims }] of made) parts.build.output(value, output, ...dims);
  return parts.build.finish('sound');
}

/**
 * Compiles a whole pass: `x` [F, C, H, W], `modulation` [K], `k_context` and `v_context` [layers, M, dim], conditions -> `velocity` as x,
 * `k_chunk` and `v_chunk` [layers, T, dim]. Keys are not rotated yet; M is 0 or contextChunks * T.
 * With absolute positions (`dit.context`) keys are rotated already, M is any number of chunks, and `rope_cos` and `rope_sin` [T, head / 2] are inputs.
 * `given` [F, given, H, W] is an input when channels are given.
 */
export function compileWhole(
  dit: DitDescription,
  weights: Weights,
  geometry: DitGeometry,
  options: WholeOptions,
): CompiledSegment {
  checkGeometry(dit, geometry);
  const build = new SegmentBuilder(weights, options.batch);
  const parts = new DitParts(dit, geometry, build);
  const { latentFrames, channels, height, width } = geometry;
  const { dim, layers } = dit;
  const latents = build.input('x', latentFrames, channels, height, width);
  const { given = 0 } = geometry;
  const x = rowsOf(parts, given === 0 ? latents : withGiven(build, latents, latentFrames, given, height, width));
  parts.modulation();
  const absolute = dit.context !== undefined;
  if (options.batch !== undefined && (absolute || dit.sound !== undefined || given > 0))
    throw new RangeError('sessions with absolute positions, sound vectors or given channels are not batched');
  const conditions = options.condition === 'apart' ? conditionInputs(parts) : conditionsInside(parts);
  const contexts = { k: build.input('k_context', layers, 'M', dim), v: build.input('v_context', layers, 'M', dim) };
  let h = parts.enter(x, conditions);
  const kept: { k: string[]; v: string[] } = { k: [], v: [] };
  for (let layer = 0; layer < layers; layer++) {
    h = parts.hear(h, layer, conditions);
    const { q, ...own } = parts.project(h, layer);
    if (absolute) own.k = parts.rotateOwn(own.k);
    const [k, v] = (['k', 'v'] as const).map((kind) => {
      const rows = build.stacked(own[kind]);
      kept[kind].push(build.batch === undefined ? rows : build.op('Unsqueeze', rows, build.graph.ints(1)));
      return build.concat([layerOf(build, contexts[kind], layer), rows], 1);
    }) as [string, string];
    const y = absolute
      ? parts.attendRotated(parts.rotateOwn(q), { k, v }, dit.heads)
      : parts.attend(q, { k, v }, dit.heads);
    h = parts.merge(h, y, layer, conditions);
  }
  const outputs = parts.outputValues / (dit.patch.size[0] * dit.patch.size[1]);
  const velocity = gridOf(parts, parts.leave(h, x), outputs);
  build.output(velocity, 'velocity', latentFrames, outputs, height, width);
  for (const kind of ['k', 'v'] as const)
    build.output(build.concat(kept[kind], build.rowAxis), `${kind}_chunk`, layers, parts.rows, dim);
  return build.finish(options.batch === undefined ? 'score' : `score.b${options.batch}`);
}

function conditionsInside(parts: DitParts): Conditions {
  const made = new Map([...computedConditions(parts), ...soundVectors(parts)]);
  return new Conditions((name) => made.get(name)?.value);
}

function withGiven(
  build: SegmentBuilder,
  latents: string,
  frames: number,
  given: number,
  height: number,
  width: number,
): string {
  return build.concat([latents, build.input('given', frames, given, height, width)], 1);
}

/** [layers, M, dim] -> [1, M, dim]; in a batch [B, layers, M, dim] -> [B, M, dim]. */
function layerOf(build: SegmentBuilder, context: string, layer: number): string {
  const one = build.slice(context, build.rowAxis, layer, layer + 1);
  return build.batch === undefined ? one : build.op('Squeeze', one, build.graph.ints(1));
}

/** [F, C, H, W] -> patches [T, C * h * w]. */
function rowsOf(parts: DitParts, x: string): string {
  const { build, geometry, dit } = parts;
  const { latentFrames: frames, height, width } = geometry;
  const channels = enteringChannels(geometry);
  const [h, w] = dit.patch.size;
  const cut = build.reshape(x, ...build.lead(frames, channels, height / h, h, width / w, w));
  const moved = build.graph.op('Transpose', [cut], { perm: permutation(build, [0, 2, 4, 1, 3, 5]) });
  return build.reshape(moved, ...build.lead(parts.rows, patchValues(dit, channels)));
}

function gridOf(parts: DitParts, rows: string, channels: number): string {
  const { build, geometry, dit } = parts;
  const { latentFrames: frames, height, width } = geometry;
  const [h, w] = dit.patch.size;
  const cut = build.reshape(rows, ...build.lead(frames, height / h, width / w, channels, h, w));
  const moved = build.graph.op('Transpose', [cut], { perm: permutation(build, [0, 3, 1, 4, 2, 5]) });
  return build.reshape(moved, ...build.lead(frames, channels, height, width));
}

function permutation(build: SegmentBuilder, order: readonly number[]): number[] {
  return build.batch === undefined ? [...order] : [0, ...order.map((axis) => axis + 1)];
}

/**
 * Latents [F, C, H, W] -> rows [T, C * h * w] in the order that the graphs use, for ranks, which have their own rows.
 * @param channels channels of x, of which given ones may be apart
 */
export function toRows(
  dit: DitDescription,
  geometry: DitGeometry,
  x: Float32Array,
  channels: number = geometry.channels,
): Float32Array {
  const rows = new Float32Array(x.length);
  visit(dit, geometry, channels, (grid, row) => {
    rows[row] = x[grid] as number;
  });
  return rows;
}

/**
 * Rows [T, C * h * w] -> [F, C, H, W].
 * @param channels channels of the rows; a velocity may have fewer than the input
 */
export function fromRows(
  dit: DitDescription,
  geometry: DitGeometry,
  rows: Float32Array,
  channels: number = geometry.channels,
): Float32Array {
  const x = new Float32Array(rows.length);
  visit(dit, geometry, channels, (grid, row) => {
    x[grid] = rows[row] as number;
  });
  return x;
}

function visit(
  dit: DitDescription,
  { latentFrames, height, width }: DitGeometry,
  channels: number,
  each: (grid: number, row: number) => void,
): void {
  const [h, w] = dit.patch.size;
  const values = patchValues(dit, channels);
  for (let f = 0; f < latentFrames; f++)
    for (let c = 0; c < channels; c++)
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) {
          const token = (f * (height / h) + Math.floor(y / h)) * (width / w) + Math.floor(x / w);
          const inside = (c * h + (y % h)) * w + (x % w);
          each(((f * channels + c) * height + y) * width + x, token * values + inside);
        }
}

/** @throws MeshError MODEL_INVALID */
export function checkGeometry(dit: DitDescription, geometry: DitGeometry): void {
  const wrong = (what: string): MeshError =>
    new MeshError('MODEL_INVALID', `the model's sizes and its description disagree: ${what}; write the manifest again`);
  const [h, w] = dit.patch.size;
  if (geometry.height % h !== 0 || geometry.width % w !== 0)
    throw wrong(`patches of ${h}x${w} do not tile ${geometry.height}x${geometry.width} latents`);
  if (tokensOf(dit, geometry) < 1) throw wrong('a chunk has no tokens');
  const wanted = dit.cross !== undefined || dit.entry !== undefined || dit.film !== undefined;
  if (wanted && geometry.condition === undefined) throw wrong('it hears conditions, but their size is not given');
  if ((dit.sound === undefined) !== (geometry.sound === undefined))
    throw wrong('vectors of the sound need both a description and the number of values');
  if (dit.cross?.image !== undefined && geometry.image === undefined)
    throw wrong('it sees image tokens, but their size is not given');
}
