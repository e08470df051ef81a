import { RECORDING_ENDS, RECORDING_FAILURES } from '@talkmesh/contracts';
import type { Counter, Gauge, Histogram, Metrics } from '@talkmesh/service-kit';

const SKEW_BUCKETS = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.045, 0.1];
const LATENESS_BUCKETS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.25];

export interface EgressMetrics {
  /** outcome: played, held (the previous frame stayed because the next was late), cut (it stayed because its chunk was cut), dropped (flushed, stale or beyond the credit). */
  readonly frames: Counter;
  readonly skew: Histogram;
  readonly lateness: Histogram;
  /** From the viewer's offer to its first frame. */
  readonly firstFrame: Histogram;
  readonly stalls: Counter;
  readonly viewers: Gauge;
  /** Left out of the avatar socket, because the program reads slowly. */
  readonly unreadPictures: Counter;
  readonly openRecordings: Gauge;
  /** Parts of recordings by how they ended. */
  readonly recordings: Counter;
  readonly recordedSeconds: Counter;
  readonly recordedBytes: Counter;
}

export function createEgressMetrics(metrics: Metrics): EgressMetrics {
  return {
    frames: metrics.counter('talkmesh_frames_total', 'Frames by outcome: played, held, cut or dropped', ['outcome'], {
      outcome: ['played', 'held', 'cut', 'dropped'],
    }),
    skew: metrics.histogram(
      'talkmesh_av_skew_seconds',
      'Time between handing the video and the audio of a frame to WebRTC',
      [],
      SKEW_BUCKETS,
    ),
    lateness: metrics.histogram(
      'talkmesh_frame_lateness_seconds',
      'Time from the due time of a frame until it was handed over',
      ['sink'],
      LATENESS_BUCKETS,
    ),
    firstFrame: metrics.histogram(
      'talkmesh_first_frame_seconds',
      "Time from the viewer's SDP offer until its first frame is handed to WebRTC",
    ),
    stalls: metrics.counter('talkmesh_playout_stalls_total', 'Times the playout clock stalled and was restarted'),
    viewers: metrics.gauge('talkmesh_viewers', 'Connected viewers and recording clients'),
    unreadPictures: metrics.counter(
      'talkmesh_unread_pictures_total',
      'Pictures left out of the avatar socket because the program at it reads slowly',
    ),
    openRecordings: metrics.gauge('talkmesh_open_recordings', 'Sessions that this worker records'),
    recordings: metrics.counter('talkmesh_recordings_total', 'Parts of recordings by how they ended', ['outcome'], {
      outcome: [...RECORDING_ENDS, ...RECORDING_FAILURES],
    }),
    recordedSeconds: metrics.counter('talkmesh_recorded_seconds_total', 'Playing time of what was recorded'),
    recordedBytes: metrics.counter('talkmesh_recorded_bytes_total', 'Size of what was recorded'),
  };
}
