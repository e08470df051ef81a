import type { Counter, Histogram, Metrics } from '@talkmesh/service-kit';

const STEP_BUCKETS = [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.1];

export interface IngestMetrics {
  /** source: microphone (WHIP), room (LiveKit) or stream (gRPC). */
  readonly seconds: Counter;
  readonly step: Histogram;
  readonly vad: Histogram;
  readonly micProblems: Counter;
}

export function createIngestMetrics(metrics: Metrics): IngestMetrics {
  return {
    seconds: metrics.counter('talkmesh_mic_seconds_total', 'Audio received, seconds', ['source']),
    micProblems: metrics.counter('talkmesh_mic_problems_total', 'Microphones that were silent, too quiet or clipped', [
      'code',
    ]),
    step: metrics.histogram(
      'talkmesh_mic_step_seconds',
      'Time from receiving audio until it was published',
      [],
      STEP_BUCKETS,
    ),
    vad: metrics.histogram(
      'talkmesh_vad_seconds',
      'Time of voice activity detection for one 20 ms message',
      [],
      STEP_BUCKETS,
    ),
  };
}
