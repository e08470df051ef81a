import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Model } from '@talkmesh/inference';
import { median } from '../support/statistics.js';
import { timeChunks } from './chunks.js';
import type { Row } from './table.js';

const PYTHON = '/usr/bin/python3';
const REPEATS = 20;
const ROUNDS = 3;
const DEADLINE_MS = 300_000;

interface Torch {
  readonly score_ms: readonly number[];
  readonly decode_ms: readonly number[];
  readonly torch: string;
}

/** Times the same chunk in PyTorch on one thread. Throws with the program's error output when PyTorch is not installed. */
async function timeTorch(folder: string): Promise<Torch> {
  const args = ['-m', 'talkmesh_nano.evaluate.bench_torch', '--model', folder, '--repeats', String(REPEATS)];
  const env = { ...process.env, OPENBLAS_NUM_THREADS: '1', OMP_NUM_THREADS: '1' };
  const python = spawn(PYTHON, args, { cwd: 'training', env, signal: AbortSignal.timeout(DEADLINE_MS) });
  const [output, errors]: [Buffer[], Buffer[]] = [[], []];
  python.stdout.on('data', (part: Buffer) => output.push(part));
  python.stderr.on('data', (part: Buffer) => errors.push(part));
  const [code] = (await once(python, 'close')) as [number | null];
  if (code !== 0)
    throw new Error(`${PYTHON} ${args.join(' ')} ended with ${code}: ${Buffer.concat(errors).toString().slice(-800)}`);
  return JSON.parse(Buffer.concat(output).toString()) as Torch;
}

/**
 * Times one chunk (audio encoder, all steps, decoder) on one thread, in PyTorch and in the services' engines. Rounds alternate, so that
 * both run under the same load; the last column is the speed relative to PyTorch, from medians over all rounds.
 */
export async function measureScoreTraining(model: Model): Promise<Row[]> {
  const torch = { score: [] as number[], decode: [] as number[], version: '' };
  const ours = { score: [] as number[], decode: [] as number[] };
  for (let round = 0; round < ROUNDS; round++) {
    const times = await timeTorch(model.folder);
    torch.score.push(...times.score_ms);
    torch.decode.push(...times.decode_ms);
    torch.version = times.torch;
    const engines = await timeChunks(model, 1, model.manifest.score.schedule.length);
    ours.score.push(...engines.score);
    ours.decode.push(...engines.decode);
  }
  const baseline = median(torch.score) + median(torch.decode);
  const row = (name: string, { score, decode }: { score: readonly number[]; decode: readonly number[] }): Row => ({
    runtime: name,
    'score p50 ms': median(score),
    'decode p50 ms': median(decode),
    'both ms': median(score) + median(decode),
    'x PyTorch': baseline / (median(score) + median(decode)),
  });
  return [row(`PyTorch ${torch.version}`, torch), row('services', ours)];
}
