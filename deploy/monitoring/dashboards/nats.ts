import { curves, dashboard, quantileOf, rateOf } from '../panels.js';

/** The data plane as the services see it. */
export const nats = dashboard('nats', 'NATS', [
  {
    title: 'Messages',
    panels: [
      curves({
        title: 'Published by stream',
        help: 'Messages per second. A call has 25 frames, 2 chunks and up to 50 microphone messages a second.',
        unit: 'reqps',
        queries: { '{{stream}}': rateOf('talkmesh_messages_total', ['stream'], '{direction="out"}') },
      }),
      curves({
        title: 'Received by stream',
        help: 'Messages per second. Events and playheads have several readers each.',
        unit: 'reqps',
        queries: { '{{stream}}': rateOf('talkmesh_messages_total', ['stream'], '{direction="in"}') },
      }),
      curves({
        title: 'Frames that did not arrive',
        help: 'Difference between frames published and received, per second. Above 0 for long: NATS drops what a slow reader leaves.',
        unit: 'reqps',
        queries: {
          frames: `${rateOf('talkmesh_messages_total', [], '{stream="frame",direction="out"}')} - ${rateOf('talkmesh_messages_total', [], '{stream="frame",direction="in"}')}`,
        },
      }),
      curves({
        title: 'Not sent or rejected',
        help: '`disconnected`: NATS was away. `MESSAGE_VERSION`: services of two versions. `PERMISSION_DENIED`: wrong NATS permissions.',
        unit: 'reqps',
        queries: { '{{reason}}': rateOf('talkmesh_message_rejected_total', ['reason']) },
      }),
    ],
  },
  {
    title: 'Hand-over',
    panels: [
      curves({
        title: 'Retained messages that could not be used',
        help: 'Messages that a worker read back at a takeover and left out, because they were malformed or of another version.',
        unit: 'reqps',
        queries: { '{{job}}': rateOf('talkmesh_retained_skipped_total', ['job']) },
      }),
      curves({
        title: 'Event handling by the event loop, p99',
        help: 'Delay of the event loop: messages wait for so long before they are handled.',
        unit: 's',
        queries: { '{{job}}': 'max by (job) (nodejs_eventloop_lag_p99_seconds)' },
      }),
      curves({
        title: 'Opening a session, p95',
        help: 'Time of Open by worker: it subscribes, and at a takeover reads back and replays.',
        unit: 's',
        queries: {
          '{{job}}': quantileOf(0.95, 'talkmesh_rpc_seconds', ['job'], '{method=~".*/Open"}'),
        },
      }),
    ],
  },
]);
