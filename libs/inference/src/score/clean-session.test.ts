/** LiveTalk's and Self-Forcing's roll-outs against the published code, whose results training/published wrote. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type DitGeometry, expectedTensors, liveTalkDescription, ringDescription } from '../compile/index.js';
import type { Executor } from '../executor/executor.js';
import { createOrtExecutor } from '../executor/ort-executor.js';
import { golden, relativeError, seeded, seededWeights } from '../testing/seeded-weights.js';
import { CleanDenoiser } from './clean-denoiser.js';
import { CleanSession } from './clean-session.js';
import { shiftedLevels } from './flow-schedule.js';

const TOLERANCE = 1e-4;
/** As in training/published/livetalk.py. */
const SEED = { weights: 11, noise: 12, inputs: 13 };
const [CHUNKS, FRAMES, STATES, FEATURES, TOKENS, TEXT] = [6, 3, 14, 12, 7, 20];
const SIZES = { dim: 64, mlp: 128, heads: 2, layers: 6, frequencies: 8, image: false };
const GRID: DitGeometry = { latentFrames: FRAMES, channels: 16, given: 17, height: 4, width: 4 };

let executor: Executor;
let folder: string;
before(async () => {
  executor = createOrtExecutor({ threads: 1 });
  folder = await mkdtemp(join(tmpdir(), 'talkmesh-clean-'));
});
after(async () => {
  await executor[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

async function liveTalk(): Promise<CleanDenoiser> {
  const dit = liveTalkDescription(SIZES);
  const geometry = { ...GRID, condition: { tokens: TOKENS, dim: TEXT }, sound: 4 * STATES * FEATURES };
  const shapes = new Map([...expectedTensors(dit, geometry, GRID.channels)].map(([name, { dims }]) => [name, dims]));
  const weights = await seededWeights(folder, shapes, SEED.weights);
  const prompt = seeded(SEED.inputs, 0, TOKENS * TEXT);
  return CleanDenoiser.load(executor, { dit, weights, geometry, levels: shiftedLevels(4, 5), prompt });
}

/** The sound of a chunk: for each latent frame four frames of all hidden states side by side; three copies of the first frame come before. */
function soundOf(chunk: number): Float32Array {
  const states = Array.from({ length: STATES }, (_, i) =>
    seeded(SEED.inputs, 2 + i, (4 * CHUNKS * FRAMES - 3) * FEATURES),
  );
  const frames = Array.from({ length: 4 * FRAMES }, (_, i) => Math.max(0, 4 * FRAMES * chunk + i - 3));
  return Float32Array.from(
    frames.flatMap((frame) => states.flatMap((state) => [...state.slice(frame * FEATURES, (frame + 1) * FEATURES)])),
  );
}

test('the noise levels are those of the published scheduler', async () => {
  const { values } = await golden('livetalk', 'levels');
  assert.ok(relativeError(shiftedLevels(4, 5), values) < 1e-6, String(shiftedLevels(4, 5)));
});

test('six chunks of LiveTalk equal the published pipeline, also after rollbacks', async () => {
  const { values: wanted } = await golden('livetalk', 'latents');
  const each = wanted.length / CHUNKS;
  await using denoiser = await liveTalk();
  const session = new CleanSession(denoiser, {
    seed: SEED.noise,
    keepChunks: 2,
    reference: seeded(SEED.inputs, 1, 16 * 16),
  });
  const generate = async (chunk: number): Promise<void> => {
    const made = await session.generate(chunk, soundOf(chunk));
    const error = relativeError(made ?? [], wanted.slice(chunk * each, (chunk + 1) * each));
    assert.ok(error < TOLERANCE, `chunk ${chunk}: relative error ${error}`);
  };
  for (const chunk of [0, 1, 2, 3, 4]) await generate(chunk);
  // Two chunks are generated from other sound, the second is dropped while it runs; then both come again as they should be.
  await session.generate(5, soundOf(0));
  const running = session.generate(6, soundOf(1));
  session.rollback(4);
  assert.equal(await running, undefined);
  for (const chunk of [4, 5]) await generate(chunk);
  assert.equal(session.kvBytes, 6 * 2 * SIZES.layers * 12 * SIZES.dim * 4);
  session.dispose();
  assert.equal(session.kvBytes, 0);
});

test('five chunks of Self-Forcing equal the published pipeline, with a window that wraps around twice', async () => {
  const dit = ringDescription({ ...SIZES, layers: 3 }, { sink: 0, recent: 2 });
  const { given: _, ...plain } = GRID;
  const geometry = { ...plain, condition: { tokens: TOKENS, dim: TEXT } };
  const shapes = new Map([...expectedTensors(dit, geometry)].map(([name, { dims }]) => [name, dims]));
  const weights = await seededWeights(folder, shapes, 51);
  const prompt = seeded(53, 0, TOKENS * TEXT);
  await using denoiser = await CleanDenoiser.load(executor, {
    dit,
    weights,
    geometry,
    levels: shiftedLevels(4, 5),
    prompt,
  });
  const session = new CleanSession(denoiser, { seed: SEED.noise, keepChunks: 1, reference: undefined });
  const { values: wanted } = await golden('self_forcing', 'latents');
  const each = wanted.length / 5;
  for (let chunk = 0; chunk < 5; chunk++) {
    const made = await session.generate(chunk, undefined);
    const error = relativeError(made ?? [], wanted.slice(chunk * each, (chunk + 1) * each));
    assert.ok(error < TOLERANCE, `chunk ${chunk}: relative error ${error}`);
  }
  await assert.rejects(session.generate(2, undefined), /is not there/);
  session.dispose();
});
