import type { RestartReason } from '@talkmesh/inference';
import type { ChunkMetrics, Counter, Logger, Metrics } from '@talkmesh/service-kit';

export interface ScoreMetrics extends ChunkMetrics {
  readonly flushes: Counter;
  readonly speechRefused: Counter;
}

export function createScoreMetrics(metrics: Metrics, chunks: ChunkMetrics): ScoreMetrics {
  return {
    ...chunks,
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
