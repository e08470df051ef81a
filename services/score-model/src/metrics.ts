import type { ChunkMetrics } from '@talkmesh/chunk-worker';
import type { RestartReason } from '@talkmesh/inference';
import type { Counter, Histogram, Logger, Metrics } from '@talkmesh/service-kit';

const PAUSE_SECONDS_BUCKETS = [0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800];

export interface ScoreMetrics extends ChunkMetrics {
  readonly flushes: Counter;
  /** ended: command, interrupt. */
  readonly pauseSeconds: Histogram;
  readonly speechRefused: Counter;
}

export function createScoreMetrics(metrics: Metrics, chunks: ChunkMetrics): ScoreMetrics {
  return {
    ...chunks,
    flushes: metrics.counter('talkmesh_flushes_total', 'New epochs', ['cause']),
    pauseSeconds: metrics.histogram(
      'talkmesh_pause_seconds',
      'Time calls were paused, by what ended it',
      ['ended'],
      PAUSE_SECONDS_BUCKETS,
    ),
    speechRefused: metrics.counter('talkmesh_speech_refused_total', 'Speech messages a full queue refused'),
  };
}

/** @returns the callback for every restart of a group of a parallel plan */
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
