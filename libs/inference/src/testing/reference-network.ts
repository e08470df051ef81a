/**
 * The fixture's score network in plain arithmetic, written from the paper's description independently of the graphs. The whole
 * session is computed at once, chunk by chunk in every layer, without caches, history window or handles.
 */
import { fixtureDit, fixtureGeometry } from './fixture-dit.js';
import type { FixtureSizes, FixtureWeights, Matrix } from './fixture-weights.js';
import { randomTensors } from './random-tensors.js';

type Row = number[];
type Rows = Row[];
type Tensor = (name: string) => Float32Array;

export interface ReferenceCall {
  /** [latentFrames, C, H, W] flat. */
  readonly c0: ArrayLike<number>;
  /** The noise of c_0, then of every chunk. */
  readonly noise: readonly ArrayLike<number>[];
  /** The session's audio, -1..1, one array of samples per chunk. */
  readonly audio: readonly Float32Array[];
}

/** Computes the latents of every chunk of a session, flat. */
export function computeReferenceCall(sizes: FixtureSizes, weights: FixtureWeights, call: ReferenceCall): number[][] {
  const tensors = new Map(
    randomTensors(fixtureDit(sizes), fixtureGeometry(sizes), sizes.seed).map(({ name, values }) => [name, values]),
  );
  const network = new Network(sizes, (name) => tensors.get(name) as Float32Array);
  const conditions = [silentTokens(sizes, weights), ...audioTokens(sizes, weights, call.audio)];
  const c0 = [...Array.from(call.c0)];
  let x = call.noise.map((noise) => [...Array.from(noise)]);
  for (const [step, level] of sizes.schedule.entries()) {
    const reference = c0.map((value, i) => (1 - level) * value + level * (call.noise[0]?.[i] ?? 0));
    const velocity = network.pass([reference, ...x.slice(1)], conditions, level);
    const next = sizes.schedule[step + 1] ?? 0;
    x = x.map((values, chunk) => values.map((value, i) => value + (next - level) * (velocity[chunk]?.[i] ?? 0)));
  }
  return x.slice(1);
}

class Network {
  readonly #sizes: FixtureSizes;
  readonly #tensor: Tensor;
  readonly #slots: number;

  constructor(sizes: FixtureSizes, tensor: Tensor) {
    this.#sizes = sizes;
    this.#tensor = tensor;
    this.#slots = sizes.latentHeight * sizes.latentWidth;
  }

  /**
   * One pass of every chunk at one noise level; chunk 0 is c_0.
   * @param conditions tokens of every latent frame, per chunk
   */
  pass(x: readonly (readonly number[])[], conditions: readonly Rows[][], level: number): Rows {
    const { dim, layers } = this.#sizes;
    const modulation = this.#modulation(level);
    const inputs = x.map((values) => this.#rows(values));
    let hidden = inputs.map((rows, chunk) => this.#enter(rows, conditions[chunk] as Rows[]));
    for (let layer = 0; layer < layers; layer++) {
      const table = this.#tensor(`blocks.${layer}.bias`);
      const vector = (kind: number): Row =>
        Array.from(
          { length: dim },
          (_, i) => (modulation[1 + (layer * 6 + kind) * dim + i] ?? 0) + (table[kind * dim + i] ?? 0),
        );
      const projected = hidden.map((rows) =>
        rows.map((row) => this.#linear(modulated(row, vector(0), vector(1)), `blocks.${layer}.qkv`)),
      );
      hidden = hidden.map((rows, chunk) => {
        const seen = (chunk === 0 ? [0] : [0, Math.max(0, chunk - 1), chunk]).flatMap((c) => projected[c] as Rows);
        const gate = vector(2);
        const attended = this.#attend(projected[chunk] as Rows, seen).map((row, i) =>
          plus(rows[i] as Row, times(this.#linear(row, `blocks.${layer}.out`), gate)),
        );
        const attendedAudio = this.#crossAttend(attended, conditions[chunk] as Rows[], layer);
        return this.#feedForward(attendedAudio, conditions[chunk] as Rows[], layer, [vector(3), vector(4), vector(5)]);
      });
    }
    const shift = modulation.slice(-2 * dim, -dim);
    const scale = modulation.slice(-dim);
    return hidden.map((rows, chunk) => this.#leave(rows, inputs[chunk] as Rows, [shift, scale], level));
  }

  #modulation(level: number): Row {
    const angles = Array.from(this.#tensor('time.frequencies'), (frequency) => frequency * level);
    const inner = this.#linear([...angles.map(Math.cos), ...angles.map(Math.sin)], 'time.inner').map(silu);
    return [level, ...this.#linear(inner, 'time.outer')];
  }

  #enter(rows: Rows, conditions: readonly Rows[]): Rows {
    const { dim } = this.#sizes;
    const slots = this.#tensor('slots');
    return rows.map((row, token) => {
      const [frame, slot] = [Math.floor(token / this.#slots), token % this.#slots];
      const audio = this.#linear((conditions[frame] as Rows).flat(), 'audio_enter').slice(slot * dim, (slot + 1) * dim);
      return plus(plus(this.#linear(row, 'enter'), audio), [...slots.slice(slot * dim, (slot + 1) * dim)]);
    });
  }

  /** Attention whose queries are at the end of the window; positions are relative to the window, not to the session. */
  #attend(own: Rows, seen: Rows): Rows {
    const { dim } = this.#sizes;
    const queries = own.map((row, i) => this.#rotate(row.slice(0, dim), seen.length - own.length + i));
    const keys = seen.map((row, i) => this.#rotate(row.slice(dim, 2 * dim), i));
    return this.#attention(
      queries,
      keys,
      seen.map((row) => row.slice(2 * dim)),
    );
  }

  #rotate(row: Row, token: number): Row {
    const { dim, heads } = this.#sizes;
    const half = dim / heads / 2;
    const position = Math.floor(token / this.#slots);
    return row.map((value, i) => {
      const pair = i % half;
      const angle = position * 100 ** (-pair / half);
      const first = i % (2 * half) < half;
      const other = (first ? -1 : 1) * (row[first ? i + half : i - half] as number);
      return value * Math.cos(angle) + other * Math.sin(angle);
    });
  }

  #attention(queries: Rows, keys: Rows, values: Rows): Rows {
    const { dim, heads } = this.#sizes;
    const size = dim / heads;
    return queries.map((query) =>
      Array.from({ length: heads }, (_, head) => {
        const part = (row: Row): Row => row.slice(head * size, (head + 1) * size);
        const scores = keys.map((key) => Math.exp(dot(part(query), part(key)) / Math.sqrt(size)));
        const total = scores.reduce((sum, score) => sum + score, 0);
        return Array.from({ length: size }, (_, i) =>
          scores.reduce((sum, score, k) => sum + (score / total) * (part(values[k] as Row)[i] as number), 0),
        );
      }).flat(),
    );
  }

  #crossAttend(rows: Rows, conditions: readonly Rows[], layer: number): Rows {
    const { dim, tokenDim } = this.#sizes;
    const [place, gate] = [this.#tensor('audio_place'), this.#tensor(`blocks.${layer}.audio_gate`)];
    const perFrame = conditions.map((tokens) =>
      tokens.map((token, i) =>
        this.#linear(plus(token, [...place.slice(i * tokenDim, (i + 1) * tokenDim)]), `blocks.${layer}.audio_kv`),
      ),
    );
    return rows.map((row, token) => {
      const both = perFrame[Math.floor(token / this.#slots)] as Rows;
      const query = this.#linear(normed(row), `blocks.${layer}.audio_q`);
      const [y] = this.#attention(
        [query],
        both.map((kv) => kv.slice(0, dim)),
        both.map((kv) => kv.slice(dim)),
      );
      const out = this.#linear(y as Row, `blocks.${layer}.audio_out`);
      return plus(
        row,
        out.map((value) => value * (gate[token % this.#slots] as number)),
      );
    });
  }

  #feedForward(
    rows: Rows,
    conditions: readonly Rows[],
    layer: number,
    [shift, scale, gate]: readonly [Row, Row, Row],
  ): Rows {
    const { dim } = this.#sizes;
    const films = conditions.map((tokens) =>
      this.#linear(this.#linear(tokens.flat(), 'audio_film').map(silu), `blocks.${layer}.film`),
    );
    return rows.map((row, token) => {
      const film = films[Math.floor(token / this.#slots)] as Row;
      const n = modulated(row, plus(shift, film.slice(0, dim)), plus(scale, film.slice(dim)));
      const inner = this.#linear(n, `blocks.${layer}.up`).map(gelu);
      return plus(row, times(this.#linear(inner, `blocks.${layer}.down`), gate));
    });
  }

  #leave(rows: Rows, inputs: Rows, [shift, scale]: readonly [Row, Row], level: number): Row {
    const { channels } = this.#sizes;
    const skip = this.#tensor('skip');
    const grid = new Array<number>(rows.length * channels);
    for (const [token, row] of rows.entries()) {
      const [frame, slot] = [Math.floor(token / this.#slots), token % this.#slots];
      const x0 = this.#linear(modulated(row, shift, scale), 'leave');
      for (let c = 0; c < channels; c++) {
        const x = inputs[token]?.[c] as number;
        const limited = Math.max(-3, Math.min(3, (x0[c] as number) + x * (skip[slot * channels + c] as number)));
        grid[(frame * channels + c) * this.#slots + slot] = (x - limited) / Math.max(level, 0.02);
      }
    }
    return grid;
  }

  #rows(values: readonly number[]): Rows {
    const { latentFrames, channels } = this.#sizes;
    return Array.from({ length: latentFrames * this.#slots }, (_, token) => {
      const [frame, slot] = [Math.floor(token / this.#slots), token % this.#slots];
      return Array.from({ length: channels }, (_, c) => values[(frame * channels + c) * this.#slots + slot] as number);
    });
  }

  #linear(row: Row, prefix: string): Row {
    const [weight, bias] = [this.#tensor(`${prefix}.weight`), this.#tensor(`${prefix}.bias`)];
    return Array.from(bias, (start, out) =>
      row.reduce((sum, value, i) => sum + value * (weight[out * row.length + i] as number), start),
    );
  }
}

function audioTokens(sizes: FixtureSizes, weights: FixtureWeights, audio: readonly Float32Array[]): Rows[][] {
  const whole = [...new Array<number>(sizes.historySamples).fill(0), ...audio.flatMap((chunk) => [...chunk])];
  let start = sizes.historySamples;
  return audio.map((chunk) => {
    const tokens = tokensOf(sizes, weights, whole.slice(start - sizes.historySamples, start), [...chunk]);
    start += chunk.length;
    return tokens;
  });
}

function silentTokens(sizes: FixtureSizes, weights: FixtureWeights): Rows[] {
  const samples = (24_000 / sizes.fps) * sizes.latentFrames * sizes.temporalCompression;
  return tokensOf(sizes, weights, [0], new Array<number>(samples).fill(0));
}

/** [frame][token][value]. */
function tokensOf(sizes: FixtureSizes, weights: FixtureWeights, history: number[], chunk: number[]): Rows[] {
  const level = history.reduce((sum, sample) => sum + Math.abs(sample), 0) / history.length;
  const size = chunk.length / sizes.latentFrames / sizes.tokensPerFrame;
  return Array.from({ length: sizes.latentFrames }, (_, frame) =>
    Array.from({ length: sizes.tokensPerFrame }, (_, token) => {
      const from = (frame * sizes.tokensPerFrame + token) * size;
      const slice = chunk.slice(from, from + size);
      const energy = Math.sqrt(slice.reduce((sum, sample) => sum + sample * sample, 0) / size);
      return Array.from(
        { length: sizes.tokenDim },
        (_, i) => energy * at(weights.audioEnergy, 0, i) + level * at(weights.audioHistory, 0, i),
      );
    }),
  );
}

const at = (matrix: Matrix, row: number, column: number): number =>
  matrix.values[row * matrix.columns + column] as number;
const dot = (a: Row, b: Row): number => a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);
const plus = (a: Row, b: Row): Row => a.map((value, i) => value + (b[i] as number));
const times = (a: Row, b: Row): Row => a.map((value, i) => value * (b[i] as number));
const silu = (value: number): number => value / (1 + Math.exp(-value));
const gelu = (value: number): number =>
  0.5 * value * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (value + 0.044715 * value ** 3)));
const modulated = (row: Row, shift: Row, scale: Row): Row =>
  normed(row).map((value, i) => value * (1 + (scale[i] as number)) + (shift[i] as number));

function normed(row: Row): Row {
  const mean = row.reduce((sum, value) => sum + value, 0) / row.length;
  const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / row.length;
  return row.map((value) => (value - mean) / Math.sqrt(variance + 1e-5));
}
