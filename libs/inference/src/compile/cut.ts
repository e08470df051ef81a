import { type DitDescription, MeshError } from '@talkmesh/contracts';
import { DitParts } from './blocks.js';
import { type Rows, SegmentBuilder } from './builder.js';
import { conditionInputs } from './conditions.js';
import { patchValues, tokensOf } from './rope.js';
import type { Weights } from './safetensors.js';
import { checkGeometry, conditionSegment } from './segments.js';
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
  if (dit.context !== undefined || dit.sound !== undefined || geometry.given !== undefined)
    throw new MeshError(
      'CONFIG_INVALID',
      'parallel plans do not serve models with absolute positions, sound vectors or given channels yet; run one on a single device',
    );
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
    const stages = [...this.#beginning(), ...this.#middle(), this.#end()];
    return { rank, ranks, tokens: this.#tokens, frames: this.#parts().frames, condition, stages };
  }

  #parts(): DitParts {
    return new DitParts(this.#dit, this.#geometry, new SegmentBuilder(this.#weights), this.#tokens);
  }

  get #fused(): boolean {
    return this.#options.fuse === true;
  }

  get #exchange(): Exchange {
    return this.#options.exchange === 'gather' ? 'gather' : 'to-heads';
  }

  /** The entry and, if fused, the first layer's projections. */
  #beginning(): CutStage[] {
    const parts = this.#parts();
    const { build } = parts;
    const h = parts.enter(
      this.#rows(parts, 'x', patchValues(this.#dit, this.#geometry.channels)),
      conditionInputs(parts),
    );
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
    if (this.#options.splitQuery !== true) {
      const { q, k, v } = parts.project(h, layer);
      for (const [kind, value] of Object.entries({ q, k, v })) build.output(value, `next_${kind}`, rows, dim);
      return [stage(build.finish(name('pre')), layer, { begins: this.#exchange })];
    }
    const n = parts.attentionNorm(h, layer);
    const { k, v } = parts.keysValues(n, layer);
    for (const [kind, value] of Object.entries({ n, k, v })) build.output(value, `next_${kind}`, rows, dim);
    const first = stage(build.finish(name('kv')), layer, { begins: this.#exchange });
    const query = this.#parts();
    query.build.output(query.queries(this.#rows(query, 'n', dim), layer), 'next_q', rows, dim);
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
    const y = parts.attend(q, this.#allRows(build, width), heads / ranks);
    build.output(y, 'next_y', this.#all, width);
    return build.finish('attend');
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
      : parts.attend(this.#rows(parts, 'q', dim), this.#allRows(build, dim), heads);
    const h = parts.merge(before, y, layer, conditionInputs(parts));
    build.output(h, 'next_h', rows, dim);
    const name = `layer${layer}.${byHeads ? 'merge' : 'post'}`;
    if (layer + 1 === layers) return [stage(build.finish(name), layer)];
    if (this.#fused) return this.#withProjections(parts, h, name, layer + 1);
    return [stage(build.finish(name), layer), ...this.#projections(layer + 1)];
  }

  #end(): CutStage {
    const parts = this.#parts();
    const x = this.#rows(parts, 'x', patchValues(this.#dit, this.#geometry.channels));
    const velocity = parts.leave(this.#rows(parts, 'h', this.#dit.dim), x);
    parts.build.output(velocity, 'velocity', parts.rows, parts.outputValues);
    return stage(parts.build.finish('head'), undefined);
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
