/**
 * The fixture network in plain numbers, written from the paper's description instead of the graphs: the whole call is
 * computed at once, chunk by chunk in every layer, with no cache, no history window and no handle.
 */
import {
  type FixtureSizes,
  type FixtureWeights,
  type LayerWeights,
  type Matrix,
  rotaryTable,
} from './fixture-weights.js';

type Rows = number[][];

export interface WholeCall {
  /** [latentFrames, C, H, W] flat. */
  readonly c0: ArrayLike<number>;
  /** Noise of c_0, then of every chunk. */
  readonly noise: readonly ArrayLike<number>[];
  /** The call's audio, -1..1, one chunk of samples each. */
  readonly audio: readonly Float32Array[];
}

/** Latents of every chunk of a call, flat. */
export function computeWholeCall(sizes: FixtureSizes, weights: FixtureWeights, call: WholeCall): number[][] {
  const heard = [silentTokens(sizes, weights), ...audioTokens(sizes, weights, call.audio)];
  const c0 = [...Array.from(call.c0)];
  let x = call.noise.map((noise) => [...Array.from(noise)]);
  for (const [step, level] of sizes.schedule.entries()) {
    const reference = c0.map((value, i) => (1 - level) * value + level * (call.noise[0]?.[i] ?? 0));
    const velocity = passOverAll(sizes, weights, [reference, ...x.slice(1)], heard, level);
    const next = sizes.schedule[step + 1] ?? 0;
    x = x.map((values, chunk) => values.map((value, i) => value + (next - level) * (velocity[chunk]?.[i] ?? 0)));
  }
  return x.slice(1);
}

/** One pass of every chunk at one noise level; chunk 0 is c_0. */
function passOverAll(
  sizes: FixtureSizes,
  weights: FixtureWeights,
  x: Rows,
  heard: readonly Rows[],
  level: number,
): Rows {
  let hidden = x.map((values, chunk) => embed(sizes, weights, values, heard[chunk] as Rows, level));
  for (const layer of weights.layers) {
    const keys = hidden.map((rows) => product(rows, layer.key));
    const values = hidden.map((rows) => product(rows, layer.value));
    hidden = hidden.map((rows, chunk) => {
      const seen = chunk === 0 ? [0] : [0, Math.max(0, chunk - 1), chunk];
      const context = { keys: seen.flatMap((c) => keys[c] as Rows), values: seen.flatMap((c) => values[c] as Rows) };
      return block(sizes, layer, rows, context);
    });
  }
  return hidden.map((rows) => toGrid(sizes, product(rows, weights.velocity)));
}

function embed(
  sizes: FixtureSizes,
  weights: FixtureWeights,
  values: readonly number[],
  heard: Rows,
  level: number,
): Rows {
  const { latentFrames, channels, latentHeight, latentWidth, dim } = sizes;
  const slots = latentHeight * latentWidth;
  const rows: Rows = [];
  for (let frame = 0; frame < latentFrames; frame++)
    for (let slot = 0; slot < slots; slot++)
      rows.push(Array.from({ length: channels }, (_, c) => values[(frame * channels + c) * slots + slot] as number));
  const audio = product(heard, weights.embedAudio);
  return product(rows, weights.embed).map((row, token) =>
    Array.from({ length: dim }, (_, i) => {
      const angle = level * at(weights.timestepFrequency, 0, i) + at(weights.timestepPhase, 0, i);
      return (row[i] as number) * (1 + Math.sin(angle)) + (audio[Math.floor(token / slots)]?.[i] as number);
    }),
  );
}

function block(sizes: FixtureSizes, layer: LayerWeights, rows: Rows, context: { keys: Rows; values: Rows }): Rows {
  const { heads, dim } = sizes;
  const size = dim / heads;
  const own = context.keys.length - rows.length;
  const queries = product(rows, layer.query);
  const mixed = rows.map((_, token) => {
    const out: number[] = [];
    for (let head = 0; head < heads; head++) {
      const part = (row: readonly number[]): number[] => row.slice(head * size, (head + 1) * size);
      const query = rotate(sizes, part(queries[token] as number[]), own + token);
      const scores = context.keys.map((key, k) => dot(query, rotate(sizes, part(key), k)) / Math.sqrt(size));
      const highest = Math.max(...scores);
      const weights = scores.map((score) => Math.exp(score - highest));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      for (let i = 0; i < size; i++)
        out.push(
          weights.reduce(
            (sum, weight, k) => sum + (weight / total) * (part(context.values[k] as number[])[i] as number),
            0,
          ),
        );
    }
    return out;
  });
  const attended = plus(rows, product(mixed, layer.out));
  const inner = product(attended, layer.up).map((row) => row.map(Math.tanh));
  return plus(attended, product(inner, layer.down));
}

/** Position is the latent frame's place in the window that is seen, whatever its place in the call. */
function rotate(sizes: FixtureSizes, part: readonly number[], token: number): number[] {
  const { cos, sin } = rotaryTable(sizes);
  const position = Math.floor(token / (sizes.latentHeight * sizes.latentWidth));
  const half = part.length / 2;
  const turned = (i: number, sign: number, from: number): number =>
    (part[i + from] as number) * (cos[position]?.[i] as number) +
    sign * (part[i + half - from] as number) * (sin[position]?.[i] as number);
  return Array.from({ length: part.length }, (_, i) => (i < half ? turned(i, -1, 0) : turned(i - half, 1, half)));
}

function audioTokens(sizes: FixtureSizes, weights: FixtureWeights, audio: readonly Float32Array[]): Rows[] {
  const whole = [...new Array<number>(sizes.historySamples).fill(0), ...audio.flatMap((chunk) => [...chunk])];
  let start = sizes.historySamples;
  return audio.map((chunk) => {
    const tokens = tokensOf(sizes, weights, whole.slice(start - sizes.historySamples, start), [...chunk]);
    start += chunk.length;
    return tokens;
  });
}

function silentTokens(sizes: FixtureSizes, weights: FixtureWeights): Rows {
  const samples = (24_000 / sizes.fps) * sizes.latentFrames * sizes.temporalCompression;
  return tokensOf(sizes, weights, [0], new Array<number>(samples).fill(0));
}

/** Mean token of each latent frame, which is all the fixture's score network looks at. */
function tokensOf(sizes: FixtureSizes, weights: FixtureWeights, history: number[], chunk: number[]): Rows {
  const level = history.reduce((sum, sample) => sum + Math.abs(sample), 0) / history.length;
  const size = chunk.length / sizes.latentFrames / sizes.tokensPerFrame;
  return Array.from({ length: sizes.latentFrames }, (_, frame) => {
    let energy = 0;
    for (let token = 0; token < sizes.tokensPerFrame; token++) {
      const from = (frame * sizes.tokensPerFrame + token) * size;
      const slice = chunk.slice(from, from + size);
      energy += Math.sqrt(slice.reduce((sum, sample) => sum + sample * sample, 0) / size) / sizes.tokensPerFrame;
    }
    return Array.from(
      { length: sizes.tokenDim },
      (_, i) => energy * at(weights.audioEnergy, 0, i) + level * at(weights.audioHistory, 0, i),
    );
  });
}

function toGrid(sizes: FixtureSizes, rows: Rows): number[] {
  const { latentFrames, channels, latentHeight, latentWidth } = sizes;
  const slots = latentHeight * latentWidth;
  const grid = new Array<number>(latentFrames * channels * slots);
  for (let token = 0; token < rows.length; token++)
    for (let c = 0; c < channels; c++)
      grid[(Math.floor(token / slots) * channels + c) * slots + (token % slots)] = rows[token]?.[c] as number;
  return grid;
}

const at = (matrix: Matrix, row: number, column: number): number =>
  matrix.values[row * matrix.columns + column] as number;
const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);
const plus = (a: Rows, b: Rows): Rows => a.map((row, r) => row.map((value, i) => value + (b[r]?.[i] as number)));
const product = (rows: Rows, matrix: Matrix): Rows =>
  rows.map((row) =>
    Array.from({ length: matrix.columns }, (_, column) =>
      row.reduce((sum, value, i) => sum + value * at(matrix, i, column), 0),
    ),
  );
