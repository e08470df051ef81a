import type { ChunkMetrics } from '@talkmesh/chunk-worker';
import { QUALITIES, type Quality } from '@talkmesh/contracts';
import type { RankOptions } from '@talkmesh/inference';
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

/** Sessions of a worker by quality, read at each scrape. */
export function openSessionsGauge(metrics: Metrics, sessions: () => readonly { readonly quality: Quality }[]): void {
  const gauge = metrics.gauge('talkmesh_quality_sessions', 'Open sessions by quality', ['quality']);
  Object.assign(gauge, {
    collect: () => {
      const open = sessions();
      for (const name of QUALITIES) gauge.set({ quality: name }, open.filter(({ quality }) => quality === name).length);
    },
  });
}

const RANK_SECONDS_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5];

/** @returns what a parallel plan reports: restarts of its groups, and where the time of each rank's passes goes */
export function rankMetrics(metrics: Metrics, log: Logger): Required<Pick<RankOptions, 'onRestart' | 'onPass'>> {
  const restarts = metrics.counter(
    'talkmesh_rank_group_restarts_total',
    'Groups of ranks of a parallel plan that died and started again',
    ['reason'],
  );
  const passes = metrics.histogram(
    'talkmesh_rank_pass_seconds',
    'Time of a pass on one rank: computing, waiting for rows of other ranks, copying them',
    ['part'],
    RANK_SECONDS_BUCKETS,
  );
  return {
    onRestart: (why, reason) => {
      restarts.inc({ reason });
      log.error({ why, reason }, 'a group of ranks died and starts again');
    },
    onPass: ({ computeUs, waitUs, copyUs }) => {
      for (const [part, us] of Object.entries({ compute: computeUs, wait: waitUs, copy: copyUs }))
        passes.observe({ part }, us / 1e6);
    },
  };
}
