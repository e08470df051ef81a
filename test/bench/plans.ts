import { availableParallelism } from 'node:os';
import {
  createOrtExecutor,
  type GraphModel,
  loadGraphModel,
  MatchedScoreEngine,
  type PassTimes,
  type RankOptions,
  type Timeline,
} from '@talkmesh/inference';
import { createWideModel } from '@talkmesh/inference/testing';
import { median } from '../support/statistics.js';
import type { Row } from './table.js';

const CHUNKS = 4;
const WARM_UP = 2;

interface Variant {
  readonly name: string;
  /** Left out: one device, the whole graph. */
  readonly ranks?: Omit<RankOptions, 'threads'>;
  readonly threads?: number;
  /** Chunks under way at once. */
  readonly depth?: number;
}

const gather = (sequence: number, steps: number, overlap = true): Variant['ranks'] => ({
  plan: { sequence, steps, exchange: 'all-gather' },
  overlap,
});
const heads = (sequence: number, overlap = true): Variant['ranks'] => ({
  plan: { sequence, steps: 1, exchange: 'ulysses' },
  overlap,
});

const variants = (steps: number): Variant[] => [
  { name: 'one device' },
  { name: 'one device, 2 threads', threads: 2 },
  { name: 'sequence 2, all-gather', ...ranks(gather(2, 1)) },
  { name: 'sequence 2, all-gather, no overlap', ...ranks(gather(2, 1, false)) },
  { name: 'sequence 2, ulysses', ...ranks(heads(2)) },
  { name: 'sequence 2, ulysses, no overlap', ...ranks(heads(2, false)) },
  { name: 'steps 2', ...ranks(gather(1, 2)), depth: 2 },
  { name: 'steps 2, one chunk at a time', ...ranks(gather(1, 2)), depth: 1 },
  { name: 'sequence 4, all-gather', ...ranks(gather(4, 1)) },
  { name: 'sequence 2 x steps 2', ...ranks(gather(2, 2)), depth: 2 },
  ...(steps % 4 === 0 ? [{ name: 'steps 4', ...ranks(gather(1, 4)), depth: 4 }] : []),
];

function ranks(options: Variant['ranks']): { ranks?: Omit<RankOptions, 'threads'> } {
  return options === undefined ? {} : { ranks: options };
}

interface Measured {
  readonly perChunkMs: number[];
  readonly latencyMs: number[];
  readonly cpuMs: number[];
  readonly share: { computeUs: number; waitUs: number; copyUs: number; passes: number; receivedBytes: number };
}

interface Running {
  readonly variant: Variant;
  readonly engine: MatchedScoreEngine;
  readonly measured: Measured;
  /** Of the ranks' passes since it was emptied. */
  readonly times: PassTimes[];
}

/**
 * Chunks without a mesh around them, one session, on each plan. Plans take turns, round by round, so that what else the
 * machine does falls on all of them; the ratio is that of medians against the first row. `wait` and `copy` are shares of
 * the ranks' time; `cpu` counts all threads.
 */
export async function measurePlans(model: GraphModel, rounds: number, timeline?: Timeline): Promise<Row[]> {
  await using executor = createOrtExecutor({ threads: 1 });
  await using wideExecutor = createOrtExecutor({ threads: 2 });
  const running: Running[] = [];
  try {
    for (const variant of variants(model.manifest.score.schedule.length)) {
      const device = variant.threads === 2 ? wideExecutor : executor;
      const times: PassTimes[] = [];
      const onPass = (pass: PassTimes): unknown => times.push(pass);
      const options = variant.ranks && { ...variant.ranks, threads: 1, onPass, ...(timeline && { timeline }) };
      const engine = await MatchedScoreEngine.load(model, device, options);
      const share = { computeUs: 0, waitUs: 0, copyUs: 0, passes: 0, receivedBytes: 0 };
      running.push({ variant, engine, measured: { perChunkMs: [], latencyMs: [], cpuMs: [], share }, times });
    }
    for (let round = 0; round < rounds; round++) for (const each of running) await measure(each);
    return running.map((each) => row(each, running[0] as Running));
  } finally {
    for (const { engine } of running) await engine[Symbol.asyncDispose]();
  }
}

/** The same for a random-weight network of the shape of large video models: 192 tokens of width 192, 4 layers, 4 steps. */
export async function measureWidePlans(rounds: number, timeline?: Timeline): Promise<Row[]> {
  const sizes = { latentHeight: 16, latentWidth: 16, dim: 192, heads: 12, layers: 4, schedule: [1, 0.85, 0.6, 0.3] };
  await using fixture = await createWideModel(sizes);
  return await measurePlans(await loadGraphModel(fixture.folder), rounds, timeline);
}

export function plansTitle(kind: string): string {
  return `Plans of the score worker on ${availableParallelism()} cores, ${kind}`;
}

async function measure({ variant, engine, measured, times }: Running): Promise<void> {
  const avatar = engine.model.manifest.avatars[0]?.id ?? '';
  const session = await engine.openSession({ avatar, seed: 1, keepChunks: 2 });
  const pcm = new Int16Array(engine.model.geometry.samplesPerChunk).map((_, i) => 5000 * Math.sin(i / 20));
  const run = async (from: number, to: number, latencies: number[]): Promise<void> => {
    const underWay: Promise<unknown>[] = [];
    for (let chunk = from; chunk < to; chunk++) {
      if (underWay.length === (variant.depth ?? 1)) await underWay.shift();
      const start = performance.now();
      underWay.push(session.generate(chunk, pcm).then(() => latencies.push(performance.now() - start)));
    }
    await Promise.all(underWay);
  };
  await run(0, WARM_UP, []);
  times.length = 0;
  const [cpu, start] = [process.cpuUsage(), performance.now()];
  await run(WARM_UP, WARM_UP + CHUNKS, measured.latencyMs);
  measured.perChunkMs.push((performance.now() - start) / CHUNKS);
  const { user, system } = process.cpuUsage(cpu);
  measured.cpuMs.push((user + system) / 1000 / CHUNKS);
  for (const { computeUs, waitUs, copyUs, receivedBytes } of times) {
    measured.share.passes += 1;
    measured.share.receivedBytes += receivedBytes;
    measured.share.computeUs += computeUs;
    measured.share.waitUs += waitUs;
    measured.share.copyUs += copyUs;
  }
  session.dispose();
}

function row({ variant, measured }: Running, first: Running): Row {
  const { computeUs, waitUs, copyUs, passes, receivedBytes } = measured.share;
  const all = computeUs + waitUs + copyUs;
  const percent = (us: number): number | string => (all === 0 ? '-' : (100 * us) / all);
  return {
    plan: variant.name,
    ranks: variant.ranks === undefined ? 1 : variant.ranks.plan.sequence * variant.ranks.plan.steps,
    'ms a chunk': median(measured.perChunkMs),
    'latency ms': median(measured.latencyMs),
    'cpu ms a chunk': median(measured.cpuMs),
    'wait %': percent(waitUs),
    'copy %': percent(copyUs),
    'kB received a pass and rank': passes === 0 ? '-' : receivedBytes / passes / 1000,
    'chunks x first row': median(first.measured.perChunkMs) / median(measured.perChunkMs),
    'cpu x first row': median(measured.cpuMs) / median(first.measured.cpuMs),
  };
}
