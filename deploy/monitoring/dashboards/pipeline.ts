import { PIPELINE, SERVICES, type ServiceName, STREAMS } from '@talkmesh/contracts';
import { curves, dashboard, heatmap, quantileOf, type Row, rateOf } from '../panels.js';

const ofJob = (job: string): string => `{job="${job}"}`;

/** What waits in a stage and what it drops. The others hand on what they get at once. */
const WAITING: Readonly<Partial<Record<ServiceName, Readonly<Record<string, string>>>>> = {
  'audio-ingest': {
    'waiting in {{queue}}': 'sum by (queue) (talkmesh_queue_depth)',
    'lost by {{queue}} ({{reason}})': rateOf('talkmesh_queue_dropped_total', ['queue', 'reason']),
  },
  'score-model': { 'waiting speech, s': 'sum(talkmesh_waiting_speech_seconds)' },
  'vae-decode': {
    'waiting chunks': 'sum(talkmesh_waiting_chunks)',
    'chunks {{outcome}}': rateOf(
      'talkmesh_chunks_total',
      ['outcome'],
      '{job="vae-decode",outcome=~"flushed|overflow|duplicate|missing"}',
    ),
  },
  'webrtc-egress': {
    'waiting frames': 'sum(talkmesh_waiting_frames)',
    'frames dropped': rateOf('talkmesh_frames_total', [], '{outcome="dropped"}'),
  },
};

/** What a stage takes in, gives out, loses, and how busy its process is. One row a stage, in the order of the data. */
const stageRow = (service: ServiceName): Row => ({
  title: `${service}: ${PIPELINE[service].does}`,
  panels: [
    curves({
      title: `${service}: messages`,
      help: 'NATS messages per second, by stream and direction.',
      unit: 'reqps',
      width: 6,
      queries: {
        '{{direction}} {{stream}}': rateOf('talkmesh_messages_total', ['stream', 'direction'], ofJob(service)),
      },
    }),
    curves({
      title: `${service}: queues and losses`,
      help: 'What waits in the stage, what it drops, and NATS messages that were not sent or rejected. The egress holds some frames on purpose.',
      unit: 'short',
      width: 6,
      queries: {
        ...WAITING[service],
        'rejected {{stream}}': rateOf('talkmesh_message_rejected_total', ['stream'], ofJob(service)),
      },
    }),
    curves({
      title: `${service}: gRPC, p95`,
      help: 'Duration of gRPC calls that this service answers.',
      unit: 's',
      width: 6,
      queries: { '{{method}}': quantileOf(0.95, 'talkmesh_rpc_seconds', ['method'], ofJob(service)) },
    }),
    curves({
      title: `${service}: process`,
      help: 'CPU cores in use, and the delay of the event loop (p99). A delay above 50 ms makes frames late.',
      unit: 'short',
      width: 6,
      queries: {
        'CPU cores': rateOf('process_cpu_seconds_total', [], ofJob(service)),
        'event loop delay, s': `max(nodejs_eventloop_lag_p99_seconds${ofJob(service)})`,
      },
    }),
  ],
});

/** Where the time of a chunk goes, and what each stage takes in and gives out. */
export const pipeline = dashboard('pipeline', 'pipeline by stage', [
  {
    title: 'Time of a chunk',
    panels: [
      curves({
        title: 'Chunk, p95 by phase',
        help: 'Time a chunk waits for its turn, is computed, and is published, in score-model and vae-decode.',
        unit: 's',
        queries: { '{{job}} {{phase}}': quantileOf(0.95, 'talkmesh_chunk_seconds', ['job', 'phase']) },
      }),
      curves({
        title: 'Chunks by outcome',
        help: '`late`: after its deadline. `degraded`: fewer steps. `held`: a frozen picture. `flushed`: dropped by a new epoch.',
        unit: 'reqps',
        queries: { '{{job}} {{outcome}}': rateOf('talkmesh_chunks_total', ['job', 'outcome']) },
      }),
      heatmap({
        title: 'Frames: time past the due time',
        help: 'How late frames were handed to the sink. The right column is what a viewer sees as a stutter.',
        unit: 's',
        queries: { '{{le}}': rateOf('talkmesh_frame_lateness_seconds_bucket', ['le']) },
      }),
      curves({
        title: 'NATS bytes by stream',
        help: `Payload of the ${STREAMS.length} streams, as published.`,
        unit: 'Bps',
        queries: { '{{stream}}': rateOf('talkmesh_message_bytes_total', ['stream'], '{direction="out"}') },
      }),
    ],
  },
  ...SERVICES.map(stageRow),
]);
