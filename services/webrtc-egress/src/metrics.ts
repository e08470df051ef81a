import type { Counter, Gauge, Histogram, Metrics } from '@talkmesh/service-kit';

const SKEW_BUCKETS = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.045, 0.1];
const LATENESS_BUCKETS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.25];

/** Metrics of webrtc-egress. */
export interface EgressMetrics {
  /** outcome: played, held (shown twice because the next was late), dropped (flushed, stale or refused). */
  readonly frames: Counter;
  readonly skew: Histogram;
  readonly lateness: Histogram;
  readonly stalls: Counter;
  readonly viewers: Gauge;
}

export function createEgressMetrics(metrics: Metrics): EgressMetrics {
  return {
    frames: metrics.counter('talkmesh_frames_total', 'Frames by what became of them', ['outcome']),
    skew: metrics.histogram(
      'talkmesh_av_skew_seconds',
      'Distance between handing over the picture and the sound of a frame',
      [],
      SKEW_BUCKETS,
    ),
    lateness: metrics.histogram(
      'talkmesh_frame_lateness_seconds',
      'From a frame being due until it was handed over',
      ['sink'],
      LATENESS_BUCKETS,
    ),
    stalls: metrics.counter('talkmesh_playout_stalls_total', 'Times the playout clock stood still and started anew'),
    viewers: metrics.gauge('talkmesh_viewers', 'Viewers and recorders connected'),
  };
}
