import type { Model } from '@talkmesh/inference';
import { until } from '@talkmesh/service-kit/testing';
import { type Mesh, startMesh } from '../../deploy/local/src/mesh.js';
import { firstAvatar } from '../support/nano.js';
import { type RecordCall, rest, startRecordCall } from '../support/record-call.js';
import { concatenate, speak } from '../support/speech.js';
import type { Row } from './table.js';

const SECONDS = 20;
const SESSIONS = [1, 2, 3];

interface StageStats {
  readonly itemsOut: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
}
type Stats = Readonly<Record<string, StageStats>>;

interface Run {
  readonly wallSeconds: number;
  readonly stats: Stats;
}

/** `sessions` talks of 20 s at the same time through a whole mesh, without pacing. */
async function runCalls(mesh: Mesh, pcm: Int16Array, frames: number, sessions: number): Promise<Run> {
  const begin = performance.now();
  const calls: RecordCall[] = await Promise.all(
    Array.from({ length: sessions }, () => startRecordCall(mesh, firstAvatar.id, pcm)),
  );
  await until('all frames', () => calls.every((call) => call.frames() >= frames), 180_000);
  const wallSeconds = (performance.now() - begin) / 1000;
  const [first] = calls;
  const answer = await rest<{ stages: Stats }>(mesh, 'GET', `/v1/sessions/${first?.sessionId}/stats`);
  await Promise.all(calls.map((call) => call.hangUp()));
  return { wallSeconds, stats: answer.body.stages };
}

export interface CallsReport {
  readonly sessions: readonly Row[];
  readonly stages: readonly Row[];
}

export async function measureCalls(model: Model): Promise<CallsReport> {
  const { fps } = model.manifest;
  const sentence = speak('The quick brown fox jumps over the lazy dog, and my mother bought some more blue bottles.');
  const copies = Math.ceil((SECONDS * 24_000) / sentence.length);
  const pcm = concatenate(...Array.from({ length: copies }, () => sentence)).subarray(0, SECONDS * 24_000);
  const mesh = await startMesh({ quiet: true });
  try {
    await runCalls(mesh, pcm.subarray(0, 2 * 24_000), 2 * fps, 1);
    const runs: Run[] = [];
    for (const sessions of SESSIONS) runs.push(await runCalls(mesh, pcm, SECONDS * fps, sessions));
    return {
      sessions: runs.map((run, i) => sessionRow(run, SESSIONS[i] ?? 0, runs[0] as Run)),
      stages: stageRows(runs[0] as Run),
    };
  } finally {
    await mesh.stop();
  }
}

const sessionRow = (run: Run, sessions: number, first: Run): Row => ({
  sessions,
  'wall s': run.wallSeconds,
  'real-time factor': run.wallSeconds / SECONDS,
  'throughput x first row': (sessions * first.wallSeconds) / run.wallSeconds,
});

/** Share of the wall time in which each stage computed; stages overlap, so shares may add up to more than 100. */
function stageRows({ stats, wallSeconds }: Run): Row[] {
  const perChunk = new Set(['score-model', 'vae-decode']);
  const chunks = stats['score-model']?.itemsOut ?? 0;
  return Object.entries(stats).map(([stage, { itemsOut, p50Ms, p95Ms }]) => {
    const runs = perChunk.has(stage) ? chunks : itemsOut;
    return { stage, runs, 'p50 ms': p50Ms, 'p95 ms': p95Ms, '% of wall': (runs * p50Ms) / (wallSeconds * 10) };
  });
}
