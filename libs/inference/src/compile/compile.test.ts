import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Executor } from '../executor/executor.js';
import { createOrtExecutor } from '../executor/ort-executor.js';
import {
  type Array32,
  type Arrays,
  difference,
  type FixtureCase,
  fixtureCases,
  runOnce,
} from '../testing/compile-cases.js';
import { randomTensors } from '../testing/random-tensors.js';
import { golden, relativeError, seeded, seededWeights } from '../testing/seeded-weights.js';
import {
  compileCondition,
  compileTimestep,
  compileWhole,
  encodeSafetensors,
  expectedTensors,
  fromRows,
  openWeights,
  type SafetensorsTensor,
  toRows,
  wanDescription,
} from './index.js';

/** Float32 against PyTorch (nano in float32, Wan in float64); values are of size one to ten. */
const TOLERANCE = 1e-5;
/** The sinusoids' angles go up to 1000 in Wan; float32 keeps five digits of their fraction. */
const TIME_TOLERANCE = 1e-4;
const OUTPUTS = ['velocity', 'k_chunk', 'v_chunk'];

let executor: Executor;
let fixtures: FixtureCase[];
before(async () => {
  executor = createOrtExecutor({ threads: 1 });
  fixtures = await fixtureCases();
});
after(() => executor[Symbol.asyncDispose]());

function assertSame(got: Arrays, wanted: Arrays, names: readonly string[], what: string, tolerance = TOLERANCE): void {
  for (const name of names) {
    const distance = difference(got[name], wanted[name]);
    assert.ok(distance < tolerance, `${what}: ${name} differs by ${distance}`);
  }
}

test('a whole pass equals PyTorch, with and without context, with conditions inside and apart', async () => {
  for (const { name, dit, geometry, weights, cases } of fixtures)
    for (const [which, arrays] of Object.entries(cases)) {
      const what = `${name}, ${which}`;
      const inside = compileWhole(dit, weights, geometry, { condition: 'inside' });
      const whole = await runOnce(executor, inside, arrays);
      assertSame(whole, arrays, OUTPUTS, what);
      assert.ok(Math.max(...(whole['velocity']?.values ?? []).map(Math.abs)) > 0.5, 'the velocity is not all zero');
      const condition = compileCondition(dit, weights, geometry);
      assert.ok(condition);
      const apart = compileWhole(dit, weights, geometry, { condition: 'apart' });
      const made = await runOnce(executor, condition, arrays);
      assertSame(await runOnce(executor, apart, { ...arrays, ...made }), arrays, OUTPUTS, `${what}, apart`);
    }
});

test('the timestep embedding equals PyTorch', async () => {
  for (const { name, dit, weights, cases } of fixtures)
    for (const [which, arrays] of Object.entries(cases)) {
      const made = await runOnce(executor, compileTimestep(dit, weights), arrays);
      assertSame(made, arrays, ['modulation'], `${name}, ${which}`, TIME_TOLERANCE);
    }
});

/** Stacks the fixture's arrays to [B, ..], shifted by another amount for each session. */
function shifted(arrays: Arrays, session: number): Arrays {
  const move = ({ values, dims }: Array32): Array32 => ({
    values: values.map((value) => value + 0.1 * session),
    dims,
  });
  return Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, move(array)]));
}

function stacked(sessions: readonly Arrays[]): Arrays {
  const names = Object.keys(sessions[0] ?? {});
  return Object.fromEntries(
    names.map((name) => {
      const parts = sessions.map((arrays) => arrays[name] as Array32);
      const values = Float32Array.from(parts.flatMap((part) => [...part.values]));
      return [name, { values, dims: [sessions.length, ...(parts[0] as Array32).dims] }];
    }),
  );
}

function unstacked({ values, dims }: Array32, session: number): Array32 {
  const [count = 1, ...rest] = dims;
  const each = values.length / count;
  return { values: values.slice(session * each, (session + 1) * each), dims: rest };
}

test('a batch of sessions with their own context, noise level and conditions equals single runs', async () => {
  const batch = 3;
  for (const { name, dit, geometry, weights, cases } of fixtures)
    for (const condition of ['inside', 'apart'] as const) {
      const sessions = Array.from({ length: batch }, (_, session) => shifted(cases.later, session));
      const apart = compileCondition(dit, weights, geometry, { batch });
      assert.ok(apart);
      const inputs = stacked(sessions);
      const made = condition === 'apart' ? await runOnce(executor, apart, inputs) : {};
      const many = compileWhole(dit, weights, geometry, { batch, condition });
      const results = await runOnce(executor, many, { ...inputs, ...made });
      const one = compileWhole(dit, weights, geometry, { condition: 'inside' });
      for (const [session, arrays] of sessions.entries()) {
        const single = await runOnce(executor, one, arrays);
        for (const output of OUTPUTS) {
          const distance = difference(unstacked(results[output] as Array32, session), single[output]);
          assert.ok(distance < TOLERANCE, `${name}, session ${session}: ${output} differs by ${distance}`);
        }
      }
    }
});

test('16-bit weights give the results of the same numbers in 32 bits', async () => {
  const [, wan] = fixtures;
  assert.ok(wan);
  const { dit, geometry, cases } = wan;
  const folder = await mkdtemp(join(tmpdir(), 'talkmesh-bf16-'));
  try {
    const wide = randomTensors(dit, geometry, 4).map((tensor) => ({
      ...tensor,
      values: tensor.values.map(cutToBrain),
    }));
    await writeFile(join(folder, 'wide.safetensors'), encodeSafetensors(wide));
    await writeFile(join(folder, 'brain.safetensors'), encodeBrain(wide));
    const run = async (file: string): Promise<Arrays> => {
      const weights = await openWeights(folder, [file]);
      assert.equal(weights.get('head.head.weight').type, file.startsWith('brain') ? 'BF16' : 'F32');
      return runOnce(executor, compileWhole(dit, weights, geometry, { condition: 'inside' }), cases.later);
    };
    assert.deepEqual(await run('brain.safetensors'), await run('wide.safetensors'));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

const BITS = new DataView(new ArrayBuffer(4));
function cutToBrain(value: number): number {
  BITS.setFloat32(0, value);
  BITS.setUint16(2, 0);
  return BITS.getFloat32(0);
}

/** Truncates every float32 to bfloat16: its upper 16 bits. */
function encodeBrain(tensors: readonly SafetensorsTensor[]): Uint8Array {
  let at = 0;
  const entries = tensors.map(({ name, dims, values }) => {
    const entry = { dtype: 'BF16', shape: dims, data_offsets: [at, at + 2 * values.length] };
    at += 2 * values.length;
    return [name, entry];
  });
  const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const data = tensors.map(({ values }) =>
    Uint16Array.from(new Uint32Array(values.buffer, values.byteOffset, values.length), (bits) => bits >>> 16),
  );
  return Buffer.concat([length, header, ...data.map((values) => new Uint8Array(values.buffer))]);
}

test('toRows and fromRows are inverse and use the row order of the graphs', () => {
  const [nano, wan] = fixtures;
  for (const fixture of [nano, wan]) {
    assert.ok(fixture);
    const { dit, geometry, cases } = fixture;
    const x = cases.first['x']?.values ?? new Float32Array(0);
    const rows = toRows(dit, geometry, x);
    assert.notDeepEqual(rows, x);
    assert.deepEqual(fromRows(dit, geometry, rows), x);
  }
  // Patch 1 of the first frame, channel 0: row 0, columns 2 and 3, then row 1.
  const { dit, geometry } = wan as FixtureCase;
  const counted = Float32Array.from({ length: 3 * 4 * 16 }, (_, i) => i);
  assert.deepEqual([...toRows(dit, geometry, counted).slice(16, 20)], [2, 3, 6, 7]);
});

test("one pass of Wan's transformers equals the published code", async () => {
  const folder = await mkdtemp(join(tmpdir(), 'talkmesh-wan-'));
  // As in training/published/wan.py.
  const sizes = { dim: 64, mlp: 128, heads: 2, layers: 3, frequencies: 8 };
  const [frames, height, width, text] = [3, 4, 6, 20];
  try {
    for (const kind of ['t2v', 'i2v']) {
      const image = kind === 'i2v';
      const dit = wanDescription({ ...sizes, image });
      const [given, tokens] = image ? [20, 512] : [0, 7];
      const seen = image ? { image: { tokens: 5, dim: 1280 } } : {};
      const condition = { tokens, dim: text };
      const geometry = { latentFrames: frames, channels: 16, given, height, width, condition, ...seen };
      const shapes = new Map([...expectedTensors(dit, geometry, 16)].map(([name, { dims }]) => [name, dims]));
      const weights = await seededWeights(folder, shapes, 61);
      const empty = { values: new Float32Array(0), dims: [sizes.layers, 0, sizes.dim] };
      const prompt = new Float32Array(tokens * text);
      prompt.set(seeded(62, 2, 7 * text));
      const t = { values: Float32Array.of(0.6), dims: [1] };
      const inputs = {
        ...(await runOnce(executor, compileTimestep(dit, weights), { t })),
        x: { values: seeded(62, 0, frames * 16 * height * width), dims: [frames, 16, height, width] },
        given: { values: seeded(62, 1, frames * given * height * width), dims: [frames, given, height, width] },
        condition: { values: prompt, dims: [tokens, text] },
        image: { values: seeded(62, 3, 5 * 1280), dims: [5, 1280] },
        k_context: empty,
        v_context: empty,
      };
      const { velocity } = await runOnce(
        executor,
        compileWhole(dit, weights, geometry, { condition: 'inside' }),
        inputs,
      );
      const error = relativeError(velocity?.values ?? [], (await golden('wan', kind)).values);
      assert.ok(error < 1e-4, `${kind}: relative error ${error}`);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
