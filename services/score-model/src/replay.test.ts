/** What making the last chunks again brings back, with the shipped model. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  createOrtExecutor,
  type Executor,
  loadModel,
  loadScoreEngine,
  type Model,
  type ScoreEngine,
} from '@talkmesh/inference';

const NANO = fileURLToPath(new URL('../../../models/nano', import.meta.url));
const SEED = 11;
const CHUNKS = 14;
const AFTER = 3;

let model: Model;
let executor: Executor;
let engine: ScoreEngine;
let audio: Int16Array[];

before(async () => {
  model = await loadModel(NANO);
  executor = createOrtExecutor({ threads: 1 });
  engine = await loadScoreEngine(model, executor);
  const { samplesPerChunk } = model.geometry;
  // Syllables: bursts of a buzz whose pitch and loudness move, so that every chunk is another.
  audio = Array.from({ length: CHUNKS + AFTER }, (_, chunk) =>
    Int16Array.from({ length: samplesPerChunk }, (_, i) => {
      const at = chunk * samplesPerChunk + i;
      const loud = Math.max(0, Math.sin(at / 2300)) * (0.5 + 0.5 * Math.sin(at / 31_000));
      return Math.round(12_000 * loud * Math.sign(Math.sin(at / (20 + 6 * Math.sin(at / 9000)))));
    }),
  );
});
after(async () => {
  await engine[Symbol.asyncDispose]();
  await executor[Symbol.asyncDispose]();
});

const avatar = (): string => model.manifest.avatars[0]?.id ?? '';
/** Steps of a chunk in the uninterrupted call: now and then time was short. */
type Steps = (chunk: number) => number;
const all: Steps = () => model.manifest.score.schedule.length;

async function uninterrupted(steps: Steps): Promise<Float32Array[]> {
  const session = await engine.openSession({ avatar: avatar(), seed: SEED, keepChunks: 1 });
  const made: Float32Array[] = [];
  for (const [chunk, pcm] of audio.entries())
    made.push((await session.generate(chunk, pcm, steps(chunk)))?.values ?? new Float32Array(0));
  session.dispose();
  return made.slice(CHUNKS);
}

/** The chunks after CHUNKS of a session that made only `depth` before again. */
async function resumed(depth: number, steps: Steps): Promise<Float32Array[]> {
  const first = CHUNKS - depth;
  const { historySamples } = model.manifest.audio;
  const before = audio.slice(0, first).flatMap((pcm) => [...pcm]);
  const history = Float32Array.from(before.slice(-historySamples), (sample) => sample / 32768);
  const from = { chunk: first, history };
  const session = await engine.openSession({ avatar: avatar(), seed: SEED, keepChunks: 1, from });
  const made: Float32Array[] = [];
  for (let chunk = first; chunk < CHUNKS + AFTER; chunk++) {
    const generated = await session.generate(chunk, audio[chunk] as Int16Array, steps(chunk));
    if (chunk >= CHUNKS) made.push(generated?.values ?? new Float32Array(0));
  }
  session.dispose();
  return made;
}

const rms = (values: Float32Array): number => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / values.length);
const difference = (a: Float32Array, b: Float32Array): number =>
  rms(a.map((value, i) => value - (b[i] as number))) / rms(b);

test('as many chunks as the state remembers give it back bit for bit; fewer come near', async (t) => {
  const { depth } = engine.replay();
  const truth = await uninterrupted(all);
  assert.deepEqual(await resumed(depth, all), truth);
  const next: Record<number, number> = {};
  for (const fewer of [0, 1, 2, 4, depth - 1]) {
    const made = await resumed(fewer, all);
    next[fewer] = difference(made[0] as Float32Array, truth[0] as Float32Array);
    const last = difference(made.at(-1) as Float32Array, truth.at(-1) as Float32Array);
    t.diagnostic(
      `${fewer} chunks: the next differs by ${next[fewer]?.toExponential(2)} of its rms, the third by ${last.toExponential(2)}`,
    );
  }
  assert.ok((next[2] as number) < 0.2, 'two chunks bring most of it back');
  assert.ok((next[4] as number) <= (next[0] as number));
});

test('chunks of fewer steps, and held ones, lengthen what must be made again', async () => {
  const { schedule } = model.manifest.score;
  const short: Steps = (chunk) => (chunk === CHUNKS - 3 ? 1 : chunk === CHUNKS - 5 ? 0 : schedule.length);
  const truth = await uninterrupted(short);
  assert.deepEqual(await resumed(engine.replay().depth + 2, short), truth);
});
