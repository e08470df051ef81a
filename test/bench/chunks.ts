import { createOrtExecutor, loadDecoderEngine, loadScoreEngine, type Model } from '@talkmesh/inference';
import { speak } from '../support/speech.js';
import { median, percentile } from '../support/statistics.js';
import type { Row } from './table.js';

const CHUNKS = 40;
const WARM_UP = 4;

/** Milliseconds of every chunk. */
export interface Timed {
  readonly score: number[];
  readonly decode: number[];
}

/** Times of single chunks without a mesh around them, one session, `threads` threads in a run; `maxSteps` as in degraded chunks. */
export async function timeChunks(model: Model, threads: number, maxSteps: number): Promise<Timed> {
  await using scoreExecutor = createOrtExecutor({ threads });
  await using decodeExecutor = createOrtExecutor({ threads });
  await using score = await loadScoreEngine(model, scoreExecutor);
  await using decoder = await loadDecoderEngine(model, decodeExecutor);
  const avatar = model.manifest.avatars[0]?.id ?? '';
  const [talker, painter] = [
    await score.openSession({ avatar, seed: 1, keepChunks: 4 }),
    await decoder.openSession({ avatar, keepChunks: 4 }),
  ];
  const speech = speak('All the world is a stage, and all the men and women merely players. '.repeat(6));
  const { samplesPerChunk } = model.geometry;
  const times: Timed = { score: [], decode: [] };
  for (let chunk = 0; chunk < CHUNKS + WARM_UP; chunk++) {
    const at = (chunk * samplesPerChunk) % (speech.length - samplesPerChunk);
    const pcm = speech.slice(at, at + samplesPerChunk);
    const begin = performance.now();
    const made = await talker.generate(chunk, pcm, maxSteps);
    const between = performance.now();
    if (made === undefined) throw new Error('the chunk was abandoned');
    await painter.decode(chunk, made.values);
    const end = performance.now();
    if (chunk < WARM_UP) continue;
    times.score.push(between - begin);
    times.decode.push(end - between);
  }
  talker.dispose();
  painter.dispose();
  return times;
}

/** One row a configuration; the last column is the time against the first row's, in the same run. */
export async function measureChunks(model: Model): Promise<Row[]> {
  const { chunkMs } = model.geometry;
  const allSteps = model.manifest.score.schedule.length;
  const rows: Row[] = [];
  let baseline: number | undefined;
  for (const [threads, steps] of [
    [1, allSteps],
    [2, allSteps],
    [1, 1],
  ] as const) {
    const { score, decode } = await timeChunks(model, threads, steps);
    const both = median(score) + median(decode);
    baseline ??= both;
    rows.push({
      threads,
      steps,
      'score p50 ms': median(score),
      'score p95 ms': percentile(score, 0.95),
      'decode p50 ms': median(decode),
      'decode p95 ms': percentile(decode, 0.95),
      '% of a chunk': (100 * both) / chunkMs,
      'x first row': both / baseline,
    });
  }
  return rows;
}
