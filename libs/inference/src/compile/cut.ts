import { type DitDescription, MeshError } from '@talkmesh/contracts';
import { DitParts } from './blocks.js';
import { type Rows, SegmentBuilder } from './builder.js';
import { conditionInputs } from './conditions.js';
import { patchValues, tokensOf } from './rope.js';
import type { Weights } from './safetensors.js';
import { checkGeometry, conditionSegment, soundSegment } from './segments.js';
import type { CompiledSegment, CutGraph, CutOptions, CutStage, DitGeometry, Exchange } from './types.js';

/**
 * Compiles one rank's share of a pass, divided into segments at the exchanges. Equal segments have the same names in
 * every rank.
 */
export function compileCut(
  dit: DitDescription,
  weights: Weights,
  geometry: DitGeometry,
  options: CutOptions,
): CutGraph {
  checkGeometry(dit, geometry);
  return new Cut(dit, weights, geometry, options).graph();
}

class Cut {
  readonly #dit: DitDescription;
  readonly #weights: Weights;
  readonly #geometry: DitGeometry;
  readonly #options: CutOptions;
  readonly #tokens: Rows;
  readonly #all: number;

  constructor(dit: DitDescription, weights: Weights, geometry: DitGeometry, options: CutOptions) {
    this.#dit = dit;
    this.#weights = weights;
    this.#geometry = geometry;
    this.#options = options;
    this.#all = tokensOf(dit, geometry);
    const { rank, ranks, exchange } = options;
    if (!Number.isInteger(rank) || rank < 0 || rank >= ranks)
      throw new MeshError('CONFIG_INVALID', `there is no rank ${rank} among ${ranks}`);
    if (this.#all % ranks !== 0)
      throw new MeshError('CONFIG_INVALID', `a chunk of ${this.#all} tokens does not split over ${ranks} ranks`);
    if (exchange === 'heads' && dit.heads % ranks !== 0)
      throw new MeshError('CONFIG_INVALID', `${dit.heads} heads do not split over ${ranks} ranks; exchange by gather`);
    if (exchange === 'heads' && options.splitQuery === true)
      throw new MeshError('CONFIG_INVALID', 'an exchange by heads includes the queries; omit splitQuery');
    const each = this.#all / ranks;
    this.#tokens = { from: rank * each, to: (rank + 1) * each };
  }

  graph(): CutGraph {
    const { rank, ranks } = this.#options;
    const condition = conditionSegment(this.#parts(), 'condition');
    const sound = soundSegment(this.#parts());
    const stages = [...this.#beginning(), ...this.#middle(), this.#end()];
    return { rank, ranks, tokens: this.#tokens, frames: this.#parts().frames, condition, sound, stages };
  }

  #parts(): DitParts {
    return new DitParts(this.#dit, this.#geometry, new SegmentBuilder(this.#weights), this.#tokens);
  }

  get #fused(): boolean {
    return this.#options.fuse === true;
  }

  /** Whether keys and queries are rotated by the positions of the chunk before the exchange, instead of at each reading. */
  get #absolute(): boolean {
    return this.#dit.context !== undefined;
  }

  get #exchange(): Exchange {
    return this.#options.exchange === 'gather' ? 'gather' : 'to-heads';
  }

  /** The entry and, if fused, the first layer's projections. */
  #beginning(): CutStage[] {
    const parts = this.#parts();
    const { build } = parts;
    const conditions = conditionInputs(parts);
    const { given = 0 } = this.#geometry;
    const latents = this.#latents(parts);
    const x =
      given === 0 ? latents : build.concat([latents, this.#rows(parts, 'given', patchValues(this.#dit, given))], 1);
    const h = parts.hear(parts.enter(x, conditions), 0, conditions);
    build.output(h, 'next_h', parts.rows, this.#dit.dim);
    if (!this.#fused) return [stage(build.finish('enter'), undefined), ...this.#projections(0)];
    return this.#withProjections(parts, h, 'enter', 0);
  }

  /** The projections of a layer as segments of their own. */
  #projections(layer: number): CutStage[] {
    const parts = this.#parts();
    return this.#withProjections(parts, this.#rows(parts, 'h', this.#dit.dim), undefined, layer);
  }

  /** Adds a layer's projections to a segment that has the layer's h. */
  #withProjections(parts: DitParts, h: string, before: string | undefined, layer: number): CutStage[] {
    const { build, rows } = parts;
    const { dim } = this.#dit;
    const name = (own: string): string => (before === undefined ? `layer${layer}.${own}` : `${before}+${own}`);
    const turn = (part: DitParts, own: string): string => (this.#absolute ? part.rotateOwn(own) : own);
    if (this.#options.splitQuery !== true) {
      const { q: asked, k: found, v } = parts.project(h, layer);
      const [q, k] = [turn(parts, asked), turn(parts, found)];
      for (const [kind, value] of Object.entries({ q, k, v })) build.output(value, `next_${kind}`, rows, dim);
      return [stage(build.finish(name('pre')), layer, { begins: this.#exchange })];
    }
    const n = parts.attentionNorm(h, layer);
    const { k: found, v } = parts.keysValues(n, layer);
    for (const [kind, value] of Object.entries({ n, k: turn(parts, found), v }))
      build.output(value, `next_${kind}`, rows, dim);
    const first = stage(build.finish(name('kv')), layer, { begins: this.#exchange });
    const query = this.#parts();
    query.build.output(turn(query, query.queries(this.#rows(query, 'n', dim), layer)), 'next_q', rows, dim);
    return [first, stage(query.build.finish(`layer${layer}.q`), layer)];
  }

  #middle(): CutStage[] {
    const stages: CutStage[] = [];
    const attend = this.#options.exchange === 'heads' ? this.#attend() : undefined;
    for (let layer = 0; layer < this.#dit.layers; layer++) {
      if (attend !== undefined) stages.push(stage(attend, layer, { awaits: 'to-heads', begins: 'to-tokens' }));
      const [first, ...rest] = this.#after(layer, attend !== undefined);
      stages.push({ ...(first as CutStage), awaits: attend === undefined ? 'gather' : 'to-tokens' }, ...rest);
    }
    return stages;
  }

  /** Attention of all tokens in this rank's heads. It has no weights, so all layers share the segment. */
  #attend(): CompiledSegment {
    const { dim, heads } = this.#dit;
    const { ranks } = this.#options;
    const build = new SegmentBuilder(this.#weights);
    const parts = new DitParts(this.#dit, this.#geometry, build);
    const width = dim / ranks;
    const q = build.input('q', this.#all, width);
    const y = this.#attention(parts, q, this.#allRows(build, width), heads / ranks);
    build.output(y, 'next_y', this.#all, width);
    return build.finish('attend');
  }

  #attention(parts: DitParts, q: string, all: { k: string; v: string }, heads: number): string {
    return this.#absolute ? parts.attendRotated(q, all, heads) : parts.attend(q, all, heads);
  }

  #allRows(build: SegmentBuilder, width: number): { k: string; v: string } {
    const [k, v] = ['k_all', 'v_all'].map((name) => build.stacked(build.input(name, 'S', width))) as [string, string];
    return { k, v };
  }

  /** From attention to the end of the layer; then, when fused, the next layer's projections. */
  #after(layer: number, byHeads: boolean): CutStage[] {
    const parts = this.#parts();
    const { build, rows } = parts;
    const { dim, heads, layers } = this.#dit;
    const before = this.#rows(parts, 'h', dim);
    const y = byHeads
      ? this.#rows(parts, 'y', dim)
      : this.#attention(parts, this.#rows(parts, 'q', dim), this.#allRows(build, dim), heads);
    const conditions = conditionInputs(parts);
    const h = parts.hear(parts.merge(before, y, layer, conditions), layer + 1, conditions);
    build.output(h, 'next_h', rows, dim);
    const name = `layer${layer}.${byHeads ? 'merge' : 'post'}`;
    if (layer + 1 === layers) return [stage(build.finish(name), layer)];
    if (this.#fused) return this.#withProjections(parts, h, name, layer + 1);
    return [stage(build.finish(name), layer), ...this.#projections(layer + 1)];
  }

  #end(): CutStage {
    const parts = this.#parts();
    const velocity = parts.leave(this.#rows(parts, 'h', this.#dit.dim), this.#latents(parts));
    parts.build.output(velocity, 'velocity', parts.rows, parts.outputValues);
    return stage(parts.build.finish('head'), undefined);
  }

  #latents(parts: DitParts): string {
    return this.#rows(parts, 'x', patchValues(this.#dit, this.#geometry.channels));
  }

  #rows(parts: DitParts, name: string, width: number): string {
    return parts.build.input(name, parts.rows, width);
  }
}

function stage(
  segment: CompiledSegment,
  layer: number | undefined,
  when: { readonly awaits?: Exchange; readonly begins?: Exchange } = {},
): CutStage {
  return { segment, layer, awaits: when.awaits, begins: when.begins };
}
