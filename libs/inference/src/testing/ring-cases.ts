/** Networks of public video models, with random weights and inputs. */
import {
  expectedTensors,
  flashHeadDescription,
  liveTalkDescription,
  ringDescription,
  s2vDescription,
} from '../compile/index.js';
import { ropeRows, tokensOf } from '../compile/rope.js';
import type { Array32, Arrays, FixtureCase } from './compile-cases.js';
import { seeded, seededWeights } from './seeded-weights.js';

const SIZES = { dim: 96, mlp: 128, heads: 12, layers: 6, frequencies: 8, image: false };
const GRID = { latentFrames: 3, channels: 4, height: 4, width: 4, condition: { tokens: 7, dim: 20 } };
const HEARING = { ...SIZES, layers: 2, hearing: [1], sound: { states: 2, values: 2, tokens: 4 } };

/** LiveTalk, with given channels and sound; Self-Forcing, without; S2V and FlashHead, with tokens of it. Their context is random too. */
export function ringCases(folder: string): Promise<FixtureCase[]> {
  return Promise.all([
    randomCase(folder, 'livetalk', liveTalkDescription(SIZES), { ...GRID, given: 5, sound: 24 }),
    randomCase(folder, 'self-forcing', ringDescription(SIZES, { sink: 0, recent: 2 }), GRID),
    randomCase(folder, 's2v', s2vDescription(HEARING), GRID),
    randomCase(folder, 'flashhead', flashHeadDescription({ ...SIZES, layers: 2 }), { ...GRID, given: 4 }),
  ]);
}

async function randomCase(
  folder: string,
  name: string,
  dit: FixtureCase['dit'],
  geometry: FixtureCase['geometry'],
): Promise<FixtureCase> {
  const shapes = new Map([...expectedTensors(dit, geometry, geometry.channels)].map(([key, { dims }]) => [key, dims]));
  const weights = await seededWeights(folder, shapes, 61);
  let stream = 0;
  const random = (...dims: readonly number[]): Array32 => {
    const count = dims.reduce((product, dim) => product * dim, 1);
    return { values: seeded(62, stream++, count), dims };
  };
  const { latentFrames: frames, channels, given = 0, height, width, sound = 0, condition } = geometry;
  const perFrame = dit.cross?.tokens.kind === 'frame' ? [frames] : [];
  const heard = dit.soundCross?.tokens ?? 0;
  const inputs = (chunk: number, contextChunks: number): Arrays => {
    const tokens = tokensOf(dit, geometry);
    const { cos, sin } = ropeRows(dit, geometry, chunk * frames, frames);
    const table = [tokens, dit.dim / dit.heads / 2];
    return {
      x: random(frames, channels, height, width),
      modulation: random(dit.modulation.size),
      condition: random(...perFrame, condition?.tokens ?? 0, condition?.dim ?? 0),
      k_context: random(dit.layers, contextChunks * tokens, dit.dim),
      v_context: random(dit.layers, contextChunks * tokens, dit.dim),
      rope_cos: { values: cos, dims: table },
      rope_sin: { values: sin, dims: table },
      ...(given === 0 ? {} : { given: random(frames, given, height, width) }),
      ...(sound === 0 ? {} : { sound: random(frames, sound) }),
      ...(heard === 0 ? {} : { sound_tokens: random(frames, heard, dit.dim), sound_whole: random(frames, dit.dim) }),
    };
  };
  return {
    name,
    dit,
    geometry,
    weights,
    cases: { first: inputs(0, 0), later: inputs(7, Math.min(2, dit.rope.contextChunks)) },
  };
}
