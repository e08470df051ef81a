/** Compares the ways to compute on this machine, in one run: times, and the distance of their results. */
import { existsSync } from 'node:fs';
import {
  createOrtExecutor,
  type Executor,
  loadDecoderEngine,
  loadScoreEngine,
  type Model,
  nvidiaDriver,
  type OrtExecutorOptions,
  parseProvider,
  type Timeline,
} from '@talkmesh/inference';
import { useSoftwareGpu } from '@talkmesh/inference/testing';
import { speak } from '../support/speech.js';
import { median } from '../support/statistics.js';
import type { Row } from './table.js';

const CHUNKS = 5;
/** Linux has it where a GPU is. */
const RENDER_NODES = '/dev/dri';

interface Way {
  readonly name: string;
  readonly options: OrtExecutorOptions;
}

interface Measured {
  readonly loadMs: number;
  readonly openMs: number;
  /** Milliseconds of every chunk but the first, in which a device may still compile. */
  readonly score: readonly number[];
  readonly decode: readonly number[];
  readonly latents: readonly Float32Array[];
  readonly frames: Uint8Array;
  /** Operators that the device lacks. */
  readonly onProcessor: readonly string[];
}

/**
 * @param providers as TALKMESH_INFERENCE_PROVIDER writes them, besides the processor
 */
export async function measureProviders(model: Model, providers: readonly string[], timeline: Timeline): Promise<Row[]> {
  if (!existsSync(RENDER_NODES) && nvidiaDriver() === undefined) useSoftwareGpu();
  const ways: Way[] = [
    { name: 'cpu', options: { threads: 1 } },
    { name: 'cpu by koffi', options: { threads: 1, api: 'native' } },
    ...providers.map((name) => ({ name, options: { threads: 1, provider: parseProvider(name) } })),
  ];
  const rows: Row[] = [];
  let baseline: Measured | undefined;
  for (const { name, options } of ways) {
    const measured = await measure(model, { ...options, timeline });
    baseline ??= measured;
    const [score, decode] = [median([...measured.score]), median([...measured.decode])];
    rows.push({
      provider: name,
      'load ms': measured.loadMs,
      'open ms': measured.openMs,
      'score p50 ms': score,
      'decode p50 ms': decode,
      'x first row': (score + decode) / (median([...baseline.score]) + median([...baseline.decode])),
      'latents differ by': distance(measured.latents, baseline.latents),
      'values off by > 1 level, ppm': apart(measured.frames, baseline.frames),
      'on the processor': measured.onProcessor.join(' ') || '-',
    });
  }
  return rows;
}

async function measure(model: Model, options: OrtExecutorOptions): Promise<Measured> {
  const begin = performance.now();
  await using executor = createOrtExecutor(options);
  await using score = await loadScoreEngine(model, executor);
  await using decoder = await loadDecoderEngine(model, executor, 'float32');
  const loaded = performance.now();
  const avatar = model.manifest.avatars[0]?.id ?? '';
  const talker = await score.openSession({ avatar, seed: 1, keepChunks: 2 });
  const painter = await decoder.openSession({ avatar, keepChunks: 2 });
  const opened = performance.now();
  const times = { score: [] as number[], decode: [] as number[] };
  const [latents, frames]: [Float32Array[], Uint8Array[]] = [[], []];
  const { samplesPerChunk } = model.geometry;
  const speech = speak('All the world is a stage, and all the men and women merely players.');
  for (let chunk = 0; chunk < CHUNKS; chunk++) {
    const from = performance.now();
    const made = await talker.generate(chunk, speech.slice(chunk * samplesPerChunk, (chunk + 1) * samplesPerChunk));
    if (made === undefined) throw new Error('the chunk was abandoned');
    const between = performance.now();
    frames.push(...((await painter.decode(chunk, made.values))?.frames ?? []));
    latents.push(made.values);
    if (chunk === 0) continue;
    times.score.push(between - from);
    times.decode.push(performance.now() - between);
  }
  talker.dispose();
  painter.dispose();
  const onProcessor = operators(executor, options.provider ?? 'cpu');
  return {
    loadMs: loaded - begin,
    openMs: opened - loaded,
    ...times,
    latents,
    frames: Buffer.concat(frames),
    onProcessor,
  };
}

const operators = (executor: Executor, provider: unknown): string[] =>
  provider === 'cpu' ? [] : [...new Set(Object.values(executor.onProcessor).flatMap((counts) => Object.keys(counts)))];

/** Largest difference of two latents. */
function distance(made: readonly Float32Array[], expected: readonly Float32Array[]): number {
  const worst = expected.map((values, chunk) =>
    values.reduce((most, value, i) => Math.max(most, Math.abs(value - (made[chunk]?.[i] ?? Number.NaN))), 0),
  );
  return Math.max(...worst);
}

/** Parts per million of the values that differ by more than one level. */
function apart(made: Uint8Array, expected: Uint8Array): number {
  const far = expected.reduce((count, value, i) => count + (Math.abs(value - (made[i] ?? 1000)) > 1 ? 1 : 0), 0);
  return Math.round((1e6 * far) / expected.length);
}
