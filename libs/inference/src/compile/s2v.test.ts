/** The streamed passes of Wan2.2-S2V against LiveAvatar's published transformer, whose results training/published wrote. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Executor } from '../executor/executor.js';
import { createOrtExecutor } from '../executor/ort-executor.js';
import { type Array32, type Arrays, runOnce } from '../testing/compile-cases.js';
import { golden, relativeError, seeded, seededWeights } from '../testing/seeded-weights.js';
import { ropeRows, tokensOf } from './rope.js';
import { compileS2vSound, s2vDescription, s2vTensors } from './s2v.js';
import { compileTimestep, compileWhole } from './segments.js';

/** As in training/published/live_avatar.py. */
const SEED = { weights: 81, inputs: 82 };
const [CHUNKS, FRAMES, CHANNELS, SIDE, LEVEL] = [2, 3, 16, 8, 0.6];
const SIZES = {
  ...{ dim: 32, mlp: 64, heads: 2, layers: 3, frequencies: 8, image: false },
  hearing: [0, 2],
  sound: { states: 25, values: 6, tokens: 4 },
};
const TEXT = { tokens: 7, dim: 20 };
const GEOMETRY = { latentFrames: FRAMES, channels: CHANNELS, height: SIDE, width: SIDE, condition: TEXT };

let executor: Executor;
let folder: string;
before(async () => {
  executor = createOrtExecutor({ threads: 1 });
  folder = await mkdtemp(join(tmpdir(), 'talkmesh-s2v-'));
});
after(async () => {
  await executor[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** Joins [layers, rows, dim] arrays along the rows. */
function joined(parts: readonly Array32[]): Array32 {
  const [layers = 0, , dim = 0] = parts[0]?.dims ?? [];
  const values: number[] = [];
  for (let layer = 0; layer < layers; layer++)
    for (const part of parts) {
      const each = part.values.length / layers;
      values.push(...part.values.subarray(layer * each, (layer + 1) * each));
    }
  return { values: Float32Array.from(values), dims: [layers, values.length / layers / dim, dim] };
}

test('two chunks with sound, ring and prefilled picture equal the published transformer', async () => {
  const dit = s2vDescription(SIZES);
  const shapes = new Map([...s2vTensors(SIZES, GEOMETRY)].map(([name, { dims }]) => [name, dims]));
  const weights = await seededWeights(folder, shapes, SEED.weights);
  const [timestep, hear] = [compileTimestep(dit, weights), compileS2vSound(SIZES, weights, FRAMES)];
  const score = compileWhole(dit, weights, GEOMETRY, { condition: 'inside' });
  const t = { values: Float32Array.of(LEVEL), dims: [1] };
  const { modulation } = await runOnce(executor, timestep, { t });
  const [wanted, sinkKeys, sinkValues] = await Promise.all(
    ['velocity', 'sink_k', 'sink_v'].map((name) => golden('live_avatar', name)),
  );
  const ofChunk = ({ values, dims }: Array32, chunk: number): Array32 => {
    const each = values.length / CHUNKS;
    return { values: values.slice(chunk * each, (chunk + 1) * each), dims: dims.slice(1) };
  };
  const kept: Arrays[] = [];
  for (let chunk = 0; chunk < CHUNKS; chunk++) {
    const { values: states, states: count } = { ...SIZES.sound };
    const frames = 4 * FRAMES;
    const hidden = {
      values: seeded(SEED.inputs, 5 + chunk, count * frames * states),
      dims: [count, frames, states],
    };
    const { cos, sin } = ropeRows(dit, GEOMETRY, chunk * FRAMES, FRAMES);
    const table = [tokensOf(dit, GEOMETRY), SIZES.dim / SIZES.heads / 2];
    const seen = (kind: 'k' | 'v', sink: Array32): Array32 =>
      joined([...kept.map((made) => made[`${kind}_chunk`] as Array32), sink]);
    const made = await runOnce(executor, score, {
      ...(await runOnce(executor, hear, { hidden })),
      x: {
        values: seeded(SEED.inputs, 3 + chunk, FRAMES * CHANNELS * SIDE * SIDE),
        dims: [FRAMES, CHANNELS, SIDE, SIDE],
      },
      modulation: modulation as Array32,
      condition: { values: seeded(SEED.inputs, 0, TEXT.tokens * TEXT.dim), dims: [TEXT.tokens, TEXT.dim] },
      rope_cos: { values: cos, dims: table },
      rope_sin: { values: sin, dims: table },
      k_context: seen('k', ofChunk(sinkKeys as Array32, chunk)),
      v_context: seen('v', sinkValues as Array32),
    });
    kept.push(made);
    const error = relativeError(made['velocity']?.values ?? [], ofChunk(wanted as Array32, chunk).values);
    assert.ok(error < 1e-4, `chunk ${chunk}: relative error ${error}`);
  }
});
