import type { RealTimeAdmission, RestartReason, StateBytes } from '@talkmesh/inference';
import { type Counter, exportAdmissionGauges, type Histogram, type Logger, type Metrics } from '@talkmesh/service-kit';

export const CHUNK_SECONDS_BUCKETS = [
  0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.12, 0.16, 0.24, 0.36, 0.48, 0.72, 0.96,
];

export interface ScoreMetrics {
  readonly seconds: Histogram;
  readonly chunks: Counter;
  /** step: fewer_steps, held; reason: late, load, idle. */
  readonly degraded: Counter;
  readonly flushes: Counter;
  readonly speechRefused: Counter;
}

export function createScoreMetrics(
  metrics: Metrics,
  stateBytes: () => StateBytes,
  admission: RealTimeAdmission,
): ScoreMetrics {
  exportAdmissionGauges(metrics, admission);
  const bytes = metrics.gauge('talkmesh_state_bytes', 'Bytes of model state held', ['kind']);
  Object.assign(bytes, {
    collect: () => {
      for (const [kind, value] of Object.entries(stateBytes())) bytes.set({ kind }, value);
    },
  });
  return {
    seconds: metrics.histogram(
      'talkmesh_chunk_seconds',
      'Time a chunk waits, is computed and is published',
      ['phase'],
      CHUNK_SECONDS_BUCKETS,
    ),
    chunks: metrics.counter('talkmesh_chunks_total', 'Chunks by what became of them', ['outcome']),
    degraded: metrics.counter('talkmesh_degraded_chunks_total', 'Chunks that were less than they could be', [
      'step',
      'reason',
    ]),
    flushes: metrics.counter('talkmesh_flushes_total', 'New epochs', ['cause']),
    speechRefused: metrics.counter('talkmesh_speech_refused_total', 'Speech messages a full queue refused'),
  };
}

/** @returns what is told of every restart of a group of a parallel plan */
export function countRankRestarts(metrics: Metrics, log: Logger): (why: string, reason: RestartReason) => void {
  const restarts = metrics.counter(
    'talkmesh_rank_group_restarts_total',
    'Groups of ranks of a parallel plan that died and started again',
    ['reason'],
  );
  return (why, reason) => {
    restarts.inc({ reason });
    log.error({ why, reason }, 'a group of ranks died and starts again');
  };
}
