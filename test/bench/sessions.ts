/** 1 to K calls at real speed on this machine: times of chunks, late and degraded chunks. */

import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Model } from '@talkmesh/inference';
import { type Mesh, startMesh } from '../../deploy/local/src/mesh.js';
import { rest } from '../support/record-call.js';
import { seededRandom } from '../support/seeded-random.js';
import { readMetrics, type Samples, total } from '../support/service-metrics.js';
import { speak } from '../support/speech.js';
import { type WatchCall, watchCall } from '../support/watch-call.js';
import { drawTimes, type QueueResult, simulateQueues } from './simulation/queues.js';
import type { Row } from './table.js';

const SECONDS = 25;
const SETTLE_SECONDS = 5;
const MOST = 4;
/** The defaults of TALKMESH_DOWNSTREAM_MS. */
const SCORE_DOWNSTREAM_SHARE = 1 / 6;
const DECODE_DOWNSTREAM_MS = 20;
const HOP_MS = { median: 0.5, p95: 2 } as const;

export interface MeasuredLoad {
  readonly sessions: number;
  readonly scoreP50Ms: number;
  readonly scoreP95Ms: number;
  readonly decodeP50Ms: number;
  readonly decodeP95Ms: number;
  /** Mean of waiting, computing and publishing in both stages. */
  readonly chunkMs: number;
  readonly lateShare: number;
  readonly degradedShare: number;
  readonly heldFramesShare: number;
}

interface StageStats {
  readonly itemsOut: number;
  readonly late: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
}

/** Admission is switched off, because the table shows what happens with too many calls. */
const OPEN_DOOR = {
  TALKMESH_CAPACITY: '64',
  TALKMESH_UTILISATION_MAX: '10',
  TALKMESH_STATE_BYTES_MAX: String(2 ** 40),
};

export interface LoadOptions {
  /** Milliseconds that every denoising step waits in addition. Chunks then cost time, but no processor time. */
  readonly slowScoreMs?: number;
  readonly most?: number;
}

export async function measureLoads(
  model: Model,
  { slowScoreMs = 0, most = MOST }: LoadOptions = {},
): Promise<MeasuredLoad[]> {
  const slow = fileURLToPath(new URL('../support/slow-score.cjs', import.meta.url));
  const slowly = { NODE_OPTIONS: `--require=${slow}`, SLOW_SCORE_MS: String(slowScoreMs) };
  const avatar = model.manifest.avatars[0]?.id ?? '';
  const loads: MeasuredLoad[] = [];
  for (let sessions = 1; sessions <= most; sessions++) {
    const mesh = await startMesh({
      quiet: true,
      model: model.folder,
      env: Object.fromEntries(
        (['audio-ingest', 'audio-llm-bridge', 'score-model', 'vae-decode', 'webrtc-egress'] as const).map((name) => [
          name,
          name === 'score-model' ? { ...OPEN_DOOR, ...slowly } : OPEN_DOOR,
        ]),
      ),
    });
    try {
      const load = await measureLoad(mesh, avatar, sessions);
      if (load === undefined) break;
      loads.push(load);
    } finally {
      await mesh.stop();
    }
  }
  return loads;
}

/** @returns undefined when the machine admits no more, whatever the limit */
async function measureLoad(mesh: Mesh, avatar: string, sessions: number): Promise<MeasuredLoad | undefined> {
  const calls: WatchCall[] = [];
  try {
    for (let i = 0; i < sessions; i++) {
      const call = await watchCall(mesh, avatar).catch((error: Error) => {
        if (error.message.includes('SESSION_LIMIT')) return undefined;
        throw error;
      });
      if (call === undefined) return undefined;
      calls.push(call);
    }
    await sleep(SETTLE_SECONDS * 1000);
    const words = speak('All the world is a stage, and all the men and women merely players.');
    const endMs = performance.now() + SECONDS * 1000;
    const [scoreBefore, decodeBefore] = [await readMetrics(mesh, 'score-model'), await readMetrics(mesh, 'vae-decode')];
    const egressBefore = await egressOf(mesh, calls);
    await Promise.all(
      calls.map(async (call, i) => {
        await sleep(300 * i);
        while (performance.now() < endMs) {
          await call.say(words);
          await sleep(1500);
        }
      }),
    );
    const [score, decode] = [await readMetrics(mesh, 'score-model'), await readMetrics(mesh, 'vae-decode')];
    const egress = await egressOf(mesh, calls);
    const stats = await Promise.all(calls.map((call) => stagesOf(mesh, call)));
    const chunks = count(decode, decodeBefore, '');
    const frames = egress.played - egressBefore.played;
    const waits = egress.held - egressBefore.held;
    const mean = (pick: (stages: Readonly<Record<string, StageStats>>) => number | undefined): number =>
      stats.reduce((sum, stages) => sum + (pick(stages) ?? 0), 0) / stats.length;
    return {
      sessions,
      scoreP50Ms: mean((stages) => stages['score-model']?.p50Ms),
      scoreP95Ms: mean((stages) => stages['score-model']?.p95Ms),
      decodeP50Ms: mean((stages) => stages['vae-decode']?.p50Ms),
      decodeP95Ms: mean((stages) => stages['vae-decode']?.p95Ms),
      chunkMs: spentMs(score, scoreBefore) + spentMs(decode, decodeBefore),
      lateShare: count(decode, decodeBefore, 'outcome="late"') / chunks,
      degradedShare: degraded(score, scoreBefore) / chunks + degraded(decode, decodeBefore) / chunks,
      heldFramesShare: waits / (frames + waits),
    };
  } finally {
    await Promise.all(calls.map((call) => call[Symbol.asyncDispose]()));
  }
}

const count = (now: Samples, before: Samples, labels: string): number =>
  total(now, 'talkmesh_chunks_total', labels) - total(before, 'talkmesh_chunks_total', labels);
const degraded = (now: Samples, before: Samples): number =>
  total(now, 'talkmesh_degraded_chunks_total') - total(before, 'talkmesh_degraded_chunks_total');

/** Mean time a chunk spent in a stage: waiting, computed, published. */
function spentMs(now: Samples, before: Samples): number {
  const of = (name: string, phase: string): number =>
    total(now, `talkmesh_chunk_seconds_${name}`, `phase="${phase}"`) -
    total(before, `talkmesh_chunk_seconds_${name}`, `phase="${phase}"`);
  return ['queue', 'compute', 'publish'].reduce(
    (sum, phase) => sum + (1000 * of('sum', phase)) / Math.max(1, of('count', phase)),
    0,
  );
}

async function stagesOf(mesh: Mesh, call: WatchCall): Promise<Readonly<Record<string, StageStats>>> {
  const path = `/v1/sessions/${call.sessionId}/stats`;
  return (await rest<{ stages: Record<string, StageStats> }>(mesh, 'GET', path)).body.stages;
}

async function egressOf(mesh: Mesh, calls: readonly WatchCall[]): Promise<{ played: number; held: number }> {
  const all = await Promise.all(calls.map((call) => stagesOf(mesh, call)));
  const sum = (pick: (stats: StageStats) => number): number =>
    all.reduce((total_, { 'webrtc-egress': stats }) => total_ + (stats === undefined ? 0 : pick(stats)), 0);
  return { played: sum(({ itemsOut }) => itemsOut), held: sum(({ late }) => late) };
}

export function loadRows(loads: readonly MeasuredLoad[]): Row[] {
  const first = loads[0]?.chunkMs ?? 1;
  return loads.map((load) => ({
    sessions: load.sessions,
    'score p50 ms': load.scoreP50Ms,
    'score p95 ms': load.scoreP95Ms,
    'decode p50 ms': load.decodeP50Ms,
    'decode p95 ms': load.decodeP95Ms,
    'in both, mean ms': load.chunkMs,
    'x first row': load.chunkMs / first,
    'late %': 100 * load.lateShare,
    'degraded %': 100 * load.degradedShare,
    'held frames %': 100 * load.heldFramesShare,
  }));
}

/** Predicts the same loads by simulation, from the measured times of single chunks. The simulation adds the waiting. */
export function predict(load: MeasuredLoad, model: Model, seconds = 600): QueueResult {
  const random = seededRandom(load.sessions);
  return simulateQueues({
    sessions: load.sessions,
    chunkMs: model.geometry.chunkMs,
    steps: model.manifest.score.schedule.length,
    scoreMs: drawTimes(load.scoreP50Ms, load.scoreP95Ms, random),
    decodeMs: drawTimes(load.decodeP50Ms, load.decodeP95Ms, random),
    hopMs: drawTimes(HOP_MS.median, HOP_MS.p95, random),
    scoreDownstreamMs: model.geometry.chunkMs * SCORE_DOWNSTREAM_SHARE,
    decodeDownstreamMs: DECODE_DOWNSTREAM_MS,
    seconds,
    random,
  });
}

export function predictionRows(loads: readonly MeasuredLoad[], model: Model): Row[] {
  return loads.map((load) => {
    const predicted = predict(load, model);
    const mean = predicted.latenciesMs.reduce((sum, ms) => sum + ms, 0) / Math.max(1, predicted.latenciesMs.length);
    return {
      sessions: load.sessions,
      'measured ms': load.chunkMs,
      'predicted ms': mean,
      'predicted x measured': mean / load.chunkMs,
      'measured late %': 100 * load.lateShare,
      'predicted late %': 100 * predicted.lateShare,
      'measured degraded %': 100 * load.degradedShare,
      'predicted degraded %': 100 * predicted.degradedShare,
    };
  });
}
