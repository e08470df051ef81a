import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Executor } from '../executor/executor.js';
import { createOrtExecutor } from '../executor/ort-executor.js';
import { NoiseSource } from '../score/noise.js';
import {
  type Array32,
  type Arrays,
  difference,
  type FixtureCase,
  fixtureCases,
  runOnce,
} from '../testing/compile-cases.js';
import { ringCases } from '../testing/ring-cases.js';
import { type CutGraph, type CutOptions, compileCut, compileWhole, fromRows, toRows } from './index.js';

/** Divided graphs add float32 numbers in another order, which rounds differently. */
const TOLERANCE = 1e-5;

let executor: Executor;
let folder: string;
let fixtures: FixtureCase[];
let rings: FixtureCase[];
before(async () => {
  executor = createOrtExecutor({ threads: 1 });
  folder = await mkdtemp(join(tmpdir(), 'talkmesh-cut-'));
  fixtures = await fixtureCases();
  rings = await ringCases(folder);
});
after(async () => {
  await executor[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

type Values = Record<string, Array32>;
type Form = Pick<CutOptions, 'exchange' | 'fuse' | 'splitQuery'>;

const rowsOf = (array: Array32, from: number, to: number): Array32 => {
  const width = array.values.length / (array.dims[0] as number);
  return { values: array.values.slice(from * width, to * width), dims: [to - from, ...array.dims.slice(1)] };
};
const joined = (parts: readonly Array32[]): Array32 => ({
  values: Float32Array.from(parts.flatMap((part) => [...part.values])),
  dims: [parts.reduce((sum, part) => sum + (part.dims[0] as number), 0), ...(parts[0]?.dims.slice(1) ?? [])],
});
const columnsOf = ({ values, dims: [rows = 0, width = 0] }: Array32, from: number, to: number): Array32 => ({
  values: Float32Array.from({ length: rows * (to - from) }, (_, i) => {
    const [row, column] = [Math.floor(i / (to - from)), from + (i % (to - from))];
    return values[row * width + column] as number;
  }),
  dims: [rows, to - from],
});
const besides = (parts: readonly Array32[]): Array32 => {
  const [rows = 0, each = 0] = parts[0]?.dims ?? [];
  const values = new Float32Array(rows * each * parts.length);
  for (const [p, part] of parts.entries())
    for (let row = 0; row < rows; row++)
      values.set(part.values.subarray(row * each, (row + 1) * each), (row * parts.length + p) * each);
  return { values, dims: [rows, each * parts.length] };
};

/** Runs the stages of all ranks in turn on one executor and performs the exchanges between them. */
class Group {
  readonly #graphs: readonly CutGraph[];
  readonly #values: Values[] = [];
  readonly #context: { k: readonly Array32[]; v: readonly Array32[] };
  readonly #kept: { k: Array32[]; v: Array32[] } = { k: [], v: [] };

  constructor(graphs: readonly CutGraph[], context: { k: readonly Array32[]; v: readonly Array32[] }) {
    this.#graphs = graphs;
    this.#context = context;
  }

  async run({ dit, geometry }: FixtureCase, arrays: Arrays): Promise<Arrays> {
    const x = arrays['x'] as Array32;
    const tokens = this.#graphs.at(-1)?.tokens.to ?? 0;
    const asRows = (values: Float32Array, channels?: number): Array32 => ({
      values: toRows(dit, geometry, values, channels),
      dims: [tokens, values.length / tokens],
    });
    const divided: Values = { x: asRows(x.values) };
    const { given, rope_cos, rope_sin } = arrays;
    if (given !== undefined) divided['given'] = asRows(given.values, geometry.given);
    if (rope_cos !== undefined && rope_sin !== undefined) Object.assign(divided, { rope_cos, rope_sin });
    for (const [rank, { tokens: own, frames, condition, sound }] of this.#graphs.entries()) {
      const values: Values = { ...arrays };
      for (const [name, rows] of Object.entries(divided)) values[name] = rowsOf(rows, own.from, own.to);
      const sounds = ['sound', 'sound_tokens', 'sound_whole'];
      for (const name of dit.cross?.tokens.kind === 'frame' ? ['condition', ...sounds] : sounds)
        if (arrays[name] !== undefined) values[name] = rowsOf(arrays[name], frames.from, frames.to);
      for (const segment of [condition, sound])
        if (segment !== undefined) Object.assign(values, await runOnce(executor, segment, values));
      this.#values[rank] = values;
    }
    const stages = this.#graphs[0]?.stages ?? [];
    for (const [i, stage] of stages.entries()) {
      for (const [rank, graph] of this.#graphs.entries()) await this.#stage(rank, graph, i);
      if (stage.begins !== undefined) this.#exchange(stage.begins);
    }
    const velocity = joined(this.#values.map((values) => values['velocity'] as Array32));
    return {
      velocity: { values: fromRows(dit, geometry, velocity.values), dims: x.dims },
      k_chunk: { ...joined(this.#kept.k), dims: [dit.layers, tokens, dit.dim] },
      v_chunk: { ...joined(this.#kept.v), dims: [dit.layers, tokens, dit.dim] },
    };
  }

  async #stage(rank: number, graph: CutGraph, i: number): Promise<void> {
    const stage = graph.stages[i];
    assert.ok(stage);
    const values = this.#values[rank] as Values;
    const made = await runOnce(executor, stage.segment, values);
    for (const [name, value] of Object.entries(made)) values[name.replace(/^next_/, '')] = value;
  }

  #exchange(kind: 'gather' | 'to-heads' | 'to-tokens'): void {
    const all = (name: string): Array32 => joined(this.#values.map((values) => values[name] as Array32));
    if (kind === 'to-tokens') {
      const y = besides(this.#values.map((values) => values['y'] as Array32));
      for (const [rank, { tokens }] of this.#graphs.entries())
        (this.#values[rank] as Values)['y'] = rowsOf(y, tokens.from, tokens.to);
      return;
    }
    const layer = this.#kept.k.length;
    const seen = { k: all('k'), v: all('v') };
    for (const side of ['k', 'v'] as const) {
      this.#kept[side].push(seen[side]);
      seen[side] = joined([this.#context[side][layer] as Array32, seen[side]]);
    }
    const q = kind === 'gather' ? undefined : all('q');
    for (const [rank, values] of this.#values.entries()) {
      const { ranks } = this.#graphs[rank] as CutGraph;
      const width = (seen.k.dims[1] as number) / ranks;
      const mine = (array: Array32): Array32 =>
        kind === 'gather' ? array : columnsOf(array, rank * width, (rank + 1) * width);
      Object.assign(values, {
        k_all: mine(seen.k),
        v_all: mine(seen.v),
        ...(kind === 'gather' ? {} : { q: mine(q as Array32) }),
      });
    }
  }
}

function cut({ dit, geometry, weights }: FixtureCase, ranks: number, form: Form): CutGraph[] {
  return Array.from({ length: ranks }, (_, rank) => compileCut(dit, weights, geometry, { rank, ranks, ...form }));
}

async function runCut(fixture: FixtureCase, arrays: Arrays, graphs: readonly CutGraph[]): Promise<Arrays> {
  const layers = (array: Array32): Array32[] => {
    const [count = 0, rows = 0, width = 0] = array.dims;
    return Array.from({ length: count }, (_, layer) => ({
      values: array.values.slice(layer * rows * width, (layer + 1) * rows * width),
      dims: [rows, width],
    }));
  };
  const context = { k: layers(arrays['k_context'] as Array32), v: layers(arrays['v_context'] as Array32) };
  return new Group(graphs, context).run(fixture, arrays);
}

async function assertCutEqualsWhole(fixture: FixtureCase, ranks: number, form: Form): Promise<void> {
  const { dit, geometry, weights, name } = fixture;
  const whole = compileWhole(dit, weights, geometry, { condition: 'inside' });
  const graphs = cut(fixture, ranks, form);
  for (const [which, arrays] of Object.entries(fixture.cases)) {
    const expected = await runOnce(executor, whole, arrays);
    const made = await runCut(fixture, arrays, graphs);
    for (const output of ['velocity', 'k_chunk', 'v_chunk']) {
      const distance = difference(made[output], expected[output]);
      assert.ok(
        distance < TOLERANCE,
        `${name} ${which}, ${ranks} ranks, ${JSON.stringify(form)}: ${output} ${distance}`,
      );
    }
  }
}

for (const ranks of [1, 2, 3, 4])
  test(`${ranks} ranks that gather keys and values give the results of one`, async () => {
    for (const fixture of [...fixtures, ...rings]) {
      await assertCutEqualsWhole(fixture, ranks, { exchange: 'gather' });
      await assertCutEqualsWhole(fixture, ranks, { exchange: 'gather', fuse: true, splitQuery: true });
    }
  });

for (const ranks of [1, 2, 3, 4])
  test(`${ranks} ranks that exchange by heads give the results of one`, async () => {
    const dividing = [...fixtures, ...rings].filter(({ dit }) => dit.heads % ranks === 0);
    assert.ok(dividing.length > 0);
    for (const fixture of dividing) {
      await assertCutEqualsWhole(fixture, ranks, { exchange: 'heads' });
      await assertCutEqualsWhole(fixture, ranks, { exchange: 'heads', fuse: true });
    }
  });

test('shares that begin and end within latent frames give the results of one rank: 6 and 12 ranks', async () => {
  const [nano] = fixtures;
  assert.ok(nano);
  for (const fixture of [nano, ...rings])
    for (const ranks of [6, 12]) await assertCutEqualsWhole(fixture, ranks, { exchange: 'gather', fuse: true });
});

test('chunks of seven latent frames, divided within frames, give the results of one rank', async () => {
  const [nano] = fixtures;
  assert.ok(nano);
  const geometry = { ...nano.geometry, latentFrames: 7 };
  const source = new NoiseSource(3);
  const dimsOf = { x: [7, 8, 2, 2], condition: [7, 4, 128], k_context: [2, 56, 24], v_context: [2, 56, 24] };
  const random = Object.entries(dimsOf).map(([name, dims], i): [string, Array32] => {
    const count = dims.reduce((product, dim) => product * dim, 1);
    return [name, { dims, values: source.noise(i, 0, count) }];
  });
  const arrays: Arrays = { ...Object.fromEntries(random), modulation: nano.cases.later['modulation'] as Array32 };
  const large: FixtureCase = { ...nano, geometry, cases: { first: arrays, later: arrays } };
  for (const ranks of [2, 7, 28]) await assertCutEqualsWhole(large, ranks, { exchange: 'gather' });
});

test('fusing and splitting change the stages as documented', () => {
  const { dit, weights, geometry } = fixtures[0] as FixtureCase;
  const names = (form: Form): string[] =>
    compileCut(dit, weights, geometry, { rank: 0, ranks: 2, ...form }).stages.map(
      ({ segment, awaits, begins }) => `${awaits ?? ''}>${segment.name}>${begins ?? ''}`,
    );
  assert.deepEqual(names({ exchange: 'gather', fuse: true, splitQuery: true }), [
    '>enter+kv>gather',
    '>layer0.q>',
    'gather>layer0.post+kv>gather',
    '>layer1.q>',
    'gather>layer1.post>',
    '>head>',
  ]);
  assert.deepEqual(names({ exchange: 'heads', fuse: true }), [
    '>enter+pre>to-heads',
    'to-heads>attend>to-tokens',
    'to-tokens>layer0.merge+pre>to-heads',
    'to-heads>attend>to-tokens',
    'to-tokens>layer1.merge>',
    '>head>',
  ]);
});

test('ranks that do not divide tokens or heads are an error that states the remedy', () => {
  const { dit, weights, geometry } = fixtures[0] as FixtureCase;
  const refused = (options: CutOptions, message: RegExp): void =>
    assert.throws(() => compileCut(dit, weights, geometry, options), { reason: 'CONFIG_INVALID', message });
  refused({ rank: 0, ranks: 5, exchange: 'gather' }, /12 tokens does not split over 5 ranks/);
  refused({ rank: 0, ranks: 3, exchange: 'heads' }, /4 heads do not split over 3 ranks; exchange by gather/);
  refused({ rank: 2, ranks: 2, exchange: 'gather' }, /no rank 2 among 2/);
  refused({ rank: 0, ranks: 2, exchange: 'heads', splitQuery: true }, /omit splitQuery/);
});
