/** The parts of a transformer pass, in the order in which they run. Segments are composed of them. */
import { type DitCross, type DitDescription, MeshError } from '@talkmesh/contracts';
import type { Rows, SegmentBuilder } from './builder.js';
import { enteringChannels, patchValues, ropeTables, slotsOf, tokensOf } from './rope.js';
import type { DitGeometry } from './types.js';

export interface Qkv {
  readonly q: string;
  readonly k: string;
  readonly v: string;
}

/**
 * The six modulation vectors of a layer. Scales already include the added one; `mid` holds shift and scale of the MLP
 * side by side.
 */
interface LayerVectors {
  readonly shift: string;
  readonly scale: string;
  readonly gate: string;
  readonly mid: string;
  readonly endGate: string;
}

/** Emits the parts of a described network for the tokens [from, to) of a chunk. */
export class DitParts {
  readonly dit: DitDescription;
  readonly geometry: DitGeometry;
  readonly build: SegmentBuilder;
  readonly tokens: Rows;
  readonly slots: number;
  readonly #vectors = new Map<number, LayerVectors>();
  #tables: { cos: string; sin: string } | undefined;

  constructor(dit: DitDescription, geometry: DitGeometry, build: SegmentBuilder, tokens?: Rows) {
    this.dit = dit;
    this.geometry = geometry;
    this.build = build;
    this.tokens = tokens ?? { from: 0, to: tokensOf(dit, geometry) };
    this.slots = slotsOf(dit, geometry);
  }

  get rows(): number {
    return this.tokens.to - this.tokens.from;
  }

  /** The latent frames that the tokens belong to. */
  get frames(): Rows {
    return { from: Math.floor(this.tokens.from / this.slots), to: Math.ceil(this.tokens.to / this.slots) };
  }

  name(template: string, layer: number): string {
    return template.replace('{i}', String(layer));
  }

  modulation(): string {
    return this.build.input('modulation', this.dit.modulation.size);
  }

  /** Patches [R, C * h * w] -> [R, dim]. */
  enter(x: string, conditions: Conditions): string {
    const { dit, build } = this;
    const values = patchValues(dit, enteringChannels(this.geometry));
    let h = build.linear(x, dit.patch.enter, values, dit.dim);
    if (dit.patch.slots !== undefined) h = build.op('Add', h, this.perToken(dit.patch.slots, dit.dim));
    for (const { table, rows } of dit.patch.added ?? [])
      h = build.op('Add', h, build.gather(build.weight(table, [rows, dit.dim]), 0, [0]));
    return dit.entry === undefined ? h : build.op('Add', h, conditions.get('entry'));
  }

  /** Adds the vector that the sound gives each latent frame before this layer, if it gives one. */
  hear(h: string, layer: number, conditions: Conditions): string {
    const { first = 0, count = 0 } = this.dit.sound ?? {};
    if (layer < first || layer >= first + count) return h;
    return this.build.op('Add', h, this.#perFrame(conditions.get(`sound.${layer}`)));
  }

  /** Rows of the latent frames, [frames, width], each repeated for the frame's tokens. */
  #perFrame(rows: string): string {
    const { build, slots, tokens, frames } = this;
    const indices = Array.from({ length: this.rows }, (_, i) => Math.floor((tokens.from + i) / slots) - frames.from);
    return build.gather(rows, build.rowAxis, indices);
  }

  /** The learned row of each slot, repeated for these tokens. */
  perToken(tensor: string, width: number): string {
    const { build, slots } = this;
    const indices = Array.from({ length: this.rows }, (_, i) => (this.tokens.from + i) % slots);
    return build.gather(build.weight(tensor, [slots, width]), 0, indices);
  }

  vectors(layer: number): LayerVectors {
    const known = this.#vectors.get(layer);
    if (known !== undefined) return known;
    const { build, dit } = this;
    const { dim } = dit;
    const { offset, stride, table } = dit.modulation.layer;
    const own = build.slice(
      this.modulation(),
      build.rowAxis,
      offset + layer * stride,
      offset + layer * stride + 6 * dim,
    );
    const ones = Float32Array.from({ length: 6 * dim }, (_, i) => ([1, 4].includes(Math.floor(i / dim)) ? 1 : 0));
    // Both operands are constants, so the runtime folds the sum at load.
    const learned = build.op('Add', build.table(this.name(table, layer), 6, dim), build.constant(ones, 6 * dim));
    const all = this.#asRow(build.op('Add', own, learned), 6 * dim);
    const [shift, scale, gate, mid, endGate] = build.split(all, -1, [dim, dim, dim, 2 * dim, dim]) as [
      string,
      string,
      string,
      string,
      string,
    ];
    const vectors = { shift, scale, gate, mid, endGate };
    this.#vectors.set(layer, vectors);
    return vectors;
  }

  /** In a batch a vector needs a row dimension to broadcast over rows. */
  #asRow(vector: string, width: number): string {
    return this.build.batch === undefined ? vector : this.build.reshape(vector, this.build.batch, 1, width);
  }

  attentionNorm(h: string, layer: number): string {
    const { shift, scale } = this.vectors(layer);
    return this.build.modulated(h, this.dit.attention.norm, this.dit.dim, shift, scale);
  }

  queries(n: string, layer: number): string {
    const { build, dit } = this;
    const { qkv, qkNorm } = dit.attention;
    const q =
      qkv.kind === 'fused'
        ? build.linear(n, this.name(qkv.all, layer), dit.dim, 3 * dit.dim, { from: 0, to: dit.dim })
        : build.linear(n, this.name(qkv.q, layer), dit.dim, dit.dim);
    return qkNorm === undefined ? q : this.#rms(q, this.name(qkNorm.q, layer), qkNorm.eps);
  }

  keysValues(n: string, layer: number): { k: string; v: string } {
    const { build, dit } = this;
    const { qkv, qkNorm } = dit.attention;
    const { dim } = dit;
    let [k, v]: [string, string] =
      qkv.kind === 'fused'
        ? (build.split(build.linear(n, this.name(qkv.all, layer), dim, 3 * dim, { from: dim, to: 3 * dim }), -1, [
            dim,
            dim,
          ]) as [string, string])
        : [build.linear(n, this.name(qkv.k, layer), dim, dim), build.linear(n, this.name(qkv.v, layer), dim, dim)];
    if (qkNorm !== undefined) k = this.#rms(k, this.name(qkNorm.k, layer), qkNorm.eps);
    return { k, v };
  }

  /** q, k, v of these tokens, before rotary. */
  project(h: string, layer: number): Qkv {
    const { build, dit } = this;
    const n = this.attentionNorm(h, layer);
    const { qkv } = dit.attention;
    if (qkv.kind !== 'fused' || dit.attention.qkNorm !== undefined)
      return { q: this.queries(n, layer), ...this.keysValues(n, layer) };
    const all = build.linear(n, this.name(qkv.all, layer), dit.dim, 3 * dit.dim);
    const [q, k, v] = build.split(all, -1, [dit.dim, dit.dim, dit.dim]) as [string, string, string];
    return { q, k, v };
  }

  #rms(x: string, tensor: string, eps: number): string {
    return this.build.rms(x, this.build.weight(tensor, [this.dit.dim]), eps);
  }

  /**
   * Attention of these tokens over context and chunk. Rotary embedding by position in the window is applied here.
   * @param all keys and values, [1 or batch, M + T, width] @param heads number of heads in `width`
   */
  attend(q: string, all: { k: string; v: string }, heads: number): string {
    const { build } = this;
    const { pairs } = this.dit.rope;
    this.#tables ??= this.#rotaryTables();
    const { cos, sin } = this.#tables;
    const seen = build.slice(build.op('Shape', all.k), 0, 1, 2);
    const own = build.op('Add', seen, build.graph.ints(this.tokens.from - tokensOf(this.dit, this.geometry)));
    const rotate = (rows: string, start: string): string =>
      build.ort('RotaryEmbedding', [rows, start, cos, sin], { interleaved: pairs === 'adjacent' ? 1 : 0 });
    const k = rotate(all.k, build.graph.ints(0));
    return build.unstacked(build.attention(rotate(build.stacked(q), own), k, all.v, heads));
  }

  /** Rotates q or k of these tokens by the tables `rope_cos` and `rope_sin` [R, head / 2] of the same tokens, which come with each run. */
  rotateOwn(rows: string): string {
    const { build, dit } = this;
    const half = dit.dim / dit.heads / 2;
    const [cos, sin] = ['rope_cos', 'rope_sin'].map((name) => build.input(name, this.rows, half)) as [string, string];
    const interleaved = dit.rope.pairs === 'adjacent' ? 1 : 0;
    const inputs = [build.stacked(rows), build.graph.ints(0), cos, sin];
    return build.unstacked(build.ort('RotaryEmbedding', inputs, { interleaved }));
  }

  /** Attention of these tokens over context and chunk, when keys and queries are rotated already. */
  attendRotated(q: string, all: { k: string; v: string }, heads: number): string {
    const { build } = this;
    return build.unstacked(build.attention(build.stacked(q), all.k, all.v, heads));
  }

  #rotaryTables(): { cos: string; sin: string } {
    const { cos, sin } = ropeTables(this.dit, this.geometry);
    const half = this.dit.dim / this.dit.heads / 2;
    const rows = cos.length / half;
    return { cos: this.build.constant(cos, rows, half), sin: this.build.constant(sin, rows, half) };
  }

  /** Adds the attention's output to h, then runs the cross-attention to the conditions, the MLP and the cross-attention to the sound. */
  merge(h: string, y: string, layer: number, conditions: Conditions): string {
    const { build, dit } = this;
    const out = build.linear(y, this.name(dit.attention.out, layer), dit.dim, dit.dim);
    const seen = build.op('Add', h, build.op('Mul', out, this.vectors(layer).gate));
    const attended = dit.cross === undefined ? seen : this.#crossAttend(seen, layer, dit.cross, conditions);
    return this.#hearTokens(this.#feedForward(attended, layer, conditions), layer, conditions);
  }

  #hearTokens(h: string, layer: number, conditions: Conditions): string {
    const { build, dit } = this;
    const { dim, soundCross } = dit;
    const index = soundCross?.after.indexOf(layer) ?? -1;
    if (soundCross === undefined || index === -1) return h;
    const of = (kind: string): string => conditions.get(`sound_${kind}.${layer}`);
    const normed = build.norm(h, { kind: 'layer', eps: soundCross.eps }, dim);
    const rows = build.op('Add', build.op('Mul', normed, this.#perFrame(of('scale'))), this.#perFrame(of('shift')));
    const { q, out, qkNorm } = soundCross;
    const asked = this.#rms(build.linear(rows, this.name(q, index), dim, dim), this.name(qkNorm.q, index), qkNorm.eps);
    const y = this.#byFrame(asked, of('k'), of('v'));
    return build.op('Add', h, build.linear(y, this.name(out, index), dim, dim));
  }

  #crossAttend(h: string, layer: number, cross: DitCross, conditions: Conditions): string {
    const { build, dit } = this;
    const { dim } = dit;
    const rows = build.norm(h, { ...cross.norm, ...affineOf(cross.norm.affine, layer) }, dim);
    let q = build.linear(rows, this.name(cross.q, layer), dim, dim);
    if (cross.qkNorm !== undefined) q = this.#rms(q, this.name(cross.qkNorm.q, layer), cross.qkNorm.eps);
    const of = (kind: string): string => conditions.get(`${kind}.${layer}`);
    let y: string;
    if (cross.tokens.kind === 'frame') y = this.#byFrame(q, of('cross_k'), of('cross_v'));
    else {
      const over = (k: string, v: string): string =>
        build.unstacked(build.attention(build.stacked(q), build.stacked(k), build.stacked(v), dit.heads));
      y = over(of('cross_k'), of('cross_v'));
      if (cross.image !== undefined) y = build.op('Add', y, over(of('image_k'), of('image_v')));
    }
    const out = build.linear(y, this.name(cross.out, layer), dim, dim);
    if (cross.slotGate === undefined) return build.op('Add', h, out);
    return build.op('Add', h, build.op('Mul', out, this.perToken(this.name(cross.slotGate, layer), 1)));
  }

  /** Each latent frame attends to its own condition tokens. A shard may begin and end within a frame. */
  #byFrame(q: string, k: string, v: string): string {
    const { build, slots } = this;
    const { dim, heads } = this.dit;
    const first = this.frames.from;
    const { batch = 1 } = build;
    const groups = frameGroups(this.tokens, slots);
    const parts = groups.map(({ from, to }) => {
      const frames = Math.ceil((to - from) / slots);
      const firstFrame = Math.floor(from / slots) - first;
      const all = groups.length === 1;
      const rows = all ? q : build.slice(q, 0, from - this.tokens.from, to - this.tokens.from);
      const tokens = (value: string): string => {
        if (all)
          return batch === 1 && build.batch === undefined ? value : build.reshape(value, batch * frames, -1, dim);
        return build.slice(value, 0, firstFrame, firstFrame + frames);
      };
      const asked = build.reshape(rows, batch * frames, (to - from) / frames, dim);
      return build.reshape(build.attention(asked, tokens(k), tokens(v), heads), ...build.lead(to - from, dim));
    });
    return build.concat(parts, 0);
  }

  #feedForward(h: string, layer: number, conditions: Conditions): string {
    const { build, dit } = this;
    const { feedForward, dim, mlp } = dit;
    const { mid, endGate } = this.vectors(layer);
    let both = mid;
    if (dit.film !== undefined) {
      both = this.#perFrame(build.op('Add', conditions.get(`film.${layer}`), mid));
    }
    const [shift, scale] = build.split(both, -1, [dim, dim]) as [string, string];
    const n =
      dit.film === undefined
        ? build.modulated(h, feedForward.norm, dim, shift, scale)
        : build.op('Add', build.op('Mul', build.norm(h, feedForward.norm, dim), scale), shift);
    const up = build.activation(build.linear(n, this.name(feedForward.up, layer), dim, mlp), feedForward.activation);
    const down = build.linear(up, this.name(feedForward.down, layer), mlp, dim);
    return build.op('Add', h, build.op('Mul', down, endGate));
  }

  /** h and the patches of the input -> velocity, [R, C * h * w], in the order of the input. */
  leave(h: string, x: string): string {
    const { build, dit } = this;
    const { head, dim } = dit;
    const { offset, stride, table } = dit.modulation.head;
    const part = (from: number): string => build.slice(this.modulation(), build.rowAxis, from, from + dim);
    const ones = Float32Array.from({ length: 2 * dim }, (_, i) => (i < dim ? 0 : 1));
    const added = build.constant(ones, 2 * dim);
    const learned = table === undefined ? added : build.op('Add', build.table(table, 2, dim), added);
    const own = build.concat([part(offset), part(offset + stride)], build.rowAxis);
    const both = this.#asRow(build.op('Add', own, learned), 2 * dim);
    const [shift, scale] = build.split(both, -1, [dim, dim]) as [string, string];
    const rows = this.#headLinear(build.modulated(h, head.norm, dim, shift, scale));
    return this.#velocity(rows, x);
  }

  /** Number of values in an output row. */
  get outputValues(): number {
    return this.build.dims(`${this.dit.head.leave}.weight`)[0] as number;
  }

  #headLinear(n: string): string {
    const { build, dit, outputValues: width } = this;
    const prefix = dit.head.leave;
    const area = dit.patch.size[0] * dit.patch.size[1];
    if (dit.head.order === 'channel-first' || area === 1) return build.linear(n, prefix, dit.dim, width);
    const channels = width / area;
    // The runtime reorders the weights once, at load, instead of the output at each run.
    const order = Array.from({ length: width }, (_, i) => (i % area) * channels + Math.floor(i / area));
    const weight = build.gather(build.weight(`${prefix}.weight`, [width, dit.dim]), 0, order);
    const bias = build.gather(build.weight(`${prefix}.bias`, [width]), 0, order);
    return build.gemm(n, weight, bias, dit.dim, width);
  }

  #velocity(rows: string, x: string): string {
    const { build, dit, outputValues: width } = this;
    const { predicts, skip } = dit.head;
    const y = skip === undefined ? rows : build.op('Add', rows, build.op('Mul', x, this.perToken(skip, width)));
    if (predicts.kind === 'velocity') return y;
    const scalar = (value: number): string => build.constant([value]);
    const x0 = build.op('Clip', y, scalar(-predicts.limit), scalar(predicts.limit));
    const at = dit.modulation.t ?? 0;
    const t = this.#asRow(build.slice(this.modulation(), build.rowAxis, at, at + 1), 1);
    return build.op('Div', build.op('Sub', x, x0), build.op('Max', t, build.constant([predicts.minT], 1)));
  }
}

/** Tensors that depend only on the conditions, by name: inputs of a segment, or computed inside it. */
export class Conditions {
  readonly #find: (name: string) => string | undefined;

  constructor(find: (name: string) => string | undefined) {
    this.#find = find;
  }

  get(name: string): string {
    const found = this.#find(name);
    if (found === undefined)
      throw new MeshError('INTERNAL', `this graph has no condition ${name}; check the description of the model`);
    return found;
  }
}

/** The affine weights of a norm, with the layer in their names. */
function affineOf(affine: string | undefined, layer: number): { affine?: string } {
  return affine === undefined ? {} : { affine: affine.replace('{i}', String(layer)) };
}

/** Splits the tokens into the rest of a frame, whole frames, and the beginning of a frame. */
export function frameGroups(tokens: Rows, slots: number): Rows[] {
  const wholeFrom = Math.min(tokens.to, Math.ceil(tokens.from / slots) * slots);
  const wholeTo = Math.max(wholeFrom, Math.floor(tokens.to / slots) * slots);
  return [
    { from: tokens.from, to: wholeFrom },
    { from: wholeFrom, to: wholeTo },
    { from: wholeTo, to: tokens.to },
  ].filter(({ from, to }) => to > from);
}
