/** The roll-outs of LiveTalk and Self-Forcing that training/published ran, for tests that compare with its results. */
import assert from 'node:assert/strict';
import type { DitDescription } from '@talkmesh/contracts';
import { type DitGeometry, expectedTensors, liveTalkDescription, ringDescription } from '../compile/index.js';
import type { CleanDenoiser, CleanModel } from '../score/clean-denoiser.js';
import { CleanSession } from '../score/clean-session.js';
import { shiftedLevels } from '../score/flow-schedule.js';
import { golden, relativeError, seeded, seededWeights } from './seeded-weights.js';

const TOLERANCE = 1e-4;
/** As in training/published/livetalk.py and self_forcing.py. */
const NOISE_SEED = 12;
const LIVETALK = { weights: 11, inputs: 13, chunks: 6 };
const SELF_FORCING = { weights: 51, inputs: 53, chunks: 5 };
const [FRAMES, STATES, FEATURES, TOKENS, TEXT] = [3, 14, 12, 7, 20];
export const ROLLOUT_SIZES = { dim: 64, mlp: 128, heads: 2, layers: 6, frequencies: 8, image: false };
const GRID: DitGeometry = { latentFrames: FRAMES, channels: 16, height: 4, width: 4 };

export interface PublishedRollout {
  readonly model: CleanModel;
  readonly chunks: number;
  open(denoiser: CleanDenoiser, keepChunks: number): CleanSession;
  sound(chunk: number): Float32Array | undefined;
  /** Asserts that a chunk has the published latents. */
  check(chunk: number, latents: Float32Array | undefined): void;
}

export async function liveTalkRollout(folder: string): Promise<PublishedRollout> {
  const geometry = { ...GRID, given: 17, condition: { tokens: TOKENS, dim: TEXT }, sound: 4 * STATES * FEATURES };
  const { inputs } = LIVETALK;
  return rollout(folder, 'livetalk', liveTalkDescription(ROLLOUT_SIZES), geometry, {
    ...LIVETALK,
    reference: seeded(inputs, 1, 16 * 16),
    sound: soundOf,
  });
}

export async function selfForcingRollout(folder: string): Promise<PublishedRollout> {
  const dit = ringDescription({ ...ROLLOUT_SIZES, layers: 3 }, { sink: 0, recent: 2 });
  const geometry = { ...GRID, condition: { tokens: TOKENS, dim: TEXT } };
  return rollout(folder, 'self_forcing', dit, geometry, {
    ...SELF_FORCING,
    reference: undefined,
    sound: () => undefined,
  });
}

async function rollout(
  folder: string,
  name: string,
  dit: DitDescription,
  geometry: DitGeometry,
  of: {
    readonly weights: number;
    readonly inputs: number;
    readonly chunks: number;
    readonly reference: Float32Array | undefined;
    readonly sound: (chunk: number) => Float32Array | undefined;
  },
): Promise<PublishedRollout> {
  const { chunks, reference, sound } = of;
  const shapes = new Map([...expectedTensors(dit, geometry, GRID.channels)].map(([key, { dims }]) => [key, dims]));
  const weights = await seededWeights(folder, shapes, of.weights);
  const prompt = seeded(of.inputs, 0, TOKENS * TEXT);
  const { values: wanted } = await golden(name, 'latents');
  const each = wanted.length / chunks;
  return {
    model: { dit, weights, geometry, levels: shiftedLevels(4, 5), prompt },
    chunks,
    open: (denoiser, keepChunks) => new CleanSession(denoiser, { seed: NOISE_SEED, keepChunks, reference }),
    sound,
    check(chunk, latents) {
      const error = relativeError(latents ?? [], wanted.slice(chunk * each, (chunk + 1) * each));
      assert.ok(error < TOLERANCE, `chunk ${chunk}: relative error ${error}`);
    },
  };
}

/** The sound of a chunk: for each latent frame four frames of all hidden states side by side; three copies of the first frame come before. */
function soundOf(chunk: number): Float32Array {
  const { inputs, chunks } = LIVETALK;
  const states = Array.from({ length: STATES }, (_, i) => seeded(inputs, 2 + i, (4 * chunks * FRAMES - 3) * FEATURES));
  const frames = Array.from({ length: 4 * FRAMES }, (_, i) => Math.max(0, 4 * FRAMES * chunk + i - 3));
  return Float32Array.from(
    frames.flatMap((frame) => states.flatMap((state) => [...state.slice(frame * FEATURES, (frame + 1) * FEATURES)])),
  );
}
