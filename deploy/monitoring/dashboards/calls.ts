import {
  AV_SKEW_P95_SECONDS,
  MOUTH_APART_P95_SECONDS,
  MOUTH_CORRELATION,
  MOUTH_FOLLOWS,
  OPEN_IN_SILENCE,
  OPEN_IN_SILENCE_SHARE,
} from '../objectives.js';
import { curves, dashboard, quantileOf, rateOf } from '../panels.js';

/** What callers and viewers notice: turns, replies, WebRTC, sync. */
export const calls = dashboard('calls', 'calls: turns and WebRTC', [
  {
    title: 'Turns',
    panels: [
      curves({
        title: 'Turns by outcome',
        help: '`played` to the end, `interrupted` while it was heard, or `cancelled` before.',
        unit: 'reqps',
        queries: { '{{provider}} {{outcome}}': rateOf('talkmesh_turns_total', ['provider', 'outcome']) },
      }),
      curves({
        title: 'Reply of the provider',
        help: 'Time from the end of the user’s speech to the first speech of the reply. This is the provider’s time, not ours.',
        unit: 's',
        queries: {
          '{{provider}} p50': quantileOf(0.5, 'talkmesh_reply_seconds', ['provider']),
          '{{provider}} p95': quantileOf(0.95, 'talkmesh_reply_seconds', ['provider']),
        },
      }),
      curves({
        title: 'Wait until a turn is heard',
        help: 'Time from the first speech of a turn until the listener hears it. This is ours: generation, decoding and playout.',
        unit: 's',
        queries: {
          p50: quantileOf(0.5, 'talkmesh_turn_wait_seconds'),
          p95: quantileOf(0.95, 'talkmesh_turn_wait_seconds'),
        },
      }),
      curves({
        title: 'Where the time of a turn goes, p50',
        help: 'Share of each stage in the time from the question to the first frame. `transport`: what no stage has measured, such as the network. One turn: see its trace.',
        unit: 's',
        queries: { '{{stage}}': quantileOf(0.5, 'talkmesh_turn_stage_seconds', ['stage']) },
      }),
      curves({
        title: 'Steps of the provider, p95',
        help: 'Time that the provider took for each of its steps, such as speech recognition and text-to-speech.',
        unit: 's',
        queries: { '{{provider}} {{step}}': quantileOf(0.95, 'talkmesh_provider_seconds', ['provider', 'step']) },
      }),
      curves({
        title: 'Failures of the provider, tool calls',
        help: 'Failures of providers and of text-to-speech, and tool calls by outcome. `expired`: the program did not answer.',
        unit: 'reqps',
        queries: {
          '{{provider}}: {{reason}}': rateOf('talkmesh_provider_errors_total', ['provider', 'reason']),
          'tool call {{outcome}}': rateOf('talkmesh_tool_calls_total', ['outcome']),
        },
      }),
      curves({
        title: 'Epochs by cause',
        help: 'Flushes: chunks that were generated and then dropped, because of an interrupt, a pause, new speech or a takeover.',
        unit: 'reqps',
        queries: { '{{cause}}': rateOf('talkmesh_flushes_total', ['cause']) },
      }),
    ],
  },
  {
    title: 'WebRTC',
    panels: [
      curves({
        title: 'Picture and sound apart at hand-over, p95',
        help: 'Time between handing the video and the audio of a frame to WebRTC. People notice 45 ms.',
        unit: 's',
        queries: { p95: quantileOf(0.95, 'talkmesh_av_skew_seconds') },
        limits: [AV_SKEW_P95_SECONDS / 2, AV_SKEW_P95_SECONDS],
      }),
      curves({
        title: 'First frame',
        help: 'Time from the viewer’s SDP offer until its first frame is handed to WebRTC.',
        unit: 's',
        queries: {
          p50: quantileOf(0.5, 'talkmesh_first_frame_seconds'),
          p95: quantileOf(0.95, 'talkmesh_first_frame_seconds'),
        },
      }),
      curves({
        title: 'Peer connections',
        help: 'Connections that the WebRTC child processes hold.',
        unit: 'short',
        queries: { '{{job}}': 'sum by (job) (talkmesh_peers)' },
      }),
      curves({
        title: 'Child restarts, stalls',
        help: 'Restarts of child processes, messages they did not take, and playout clocks that had to be restarted.',
        unit: 'reqps',
        queries: {
          'restarts of {{child}}': rateOf('talkmesh_child_restarts_total', ['child']),
          'refused by {{child}}': rateOf('talkmesh_child_messages_refused_total', ['child']),
          'playout stalls': rateOf('talkmesh_playout_stalls_total'),
        },
      }),
    ],
  },
  {
    title: 'In the browser, as the client SDK reports it',
    panels: [
      curves({
        title: 'Picture and sound apart at the viewer',
        help: 'Lip sync of what is seen and heard, by which of the two is ahead. People notice sound that is ahead by 45 ms, or behind by 125 ms.',
        unit: 's',
        queries: {
          '{{ahead}} ahead p50': quantileOf(0.5, 'talkmesh_viewer_av_skew_seconds', ['ahead']),
          '{{ahead}} ahead p95': quantileOf(0.95, 'talkmesh_viewer_av_skew_seconds', ['ahead']),
        },
      }),
      curves({
        title: 'Delay in the browser',
        help: 'From arrival until a frame is seen or a sample is heard. The SDK delays the picture until both are equal.',
        unit: 's',
        queries: { '{{kind}} p95': quantileOf(0.95, 'talkmesh_viewer_delay_seconds', ['kind']) },
      }),
      curves({
        title: 'First frame at the viewer',
        help: 'Time from the call, or a lost connection, until a frame is on the display.',
        unit: 's',
        queries: {
          p50: quantileOf(0.5, 'talkmesh_viewer_first_frame_seconds'),
          p95: quantileOf(0.95, 'talkmesh_viewer_first_frame_seconds'),
        },
      }),
      curves({
        title: 'Time in which the picture stood still',
        help: 'Share of the time that viewers watched. A viewer’s own network shows here first.',
        unit: 'percentunit',
        queries: {
          frozen: `${rateOf('talkmesh_viewer_frozen_seconds_total')} / ${rateOf('talkmesh_viewer_watched_seconds_total')}`,
        },
      }),
    ],
  },
  {
    title: 'The mouth, as the decoder draws it',
    panels: [
      curves({
        title: 'Open in silence',
        help: 'Share of the silent frames in which the mouth is open. The first quarter of a second after a sound does not count.',
        unit: 'percentunit',
        queries: { open: OPEN_IN_SILENCE },
        limits: [OPEN_IN_SILENCE_SHARE / 2, OPEN_IN_SILENCE_SHARE],
      }),
      curves({
        title: 'Mouth and sound apart',
        help: 'How much earlier or later than the sound the model moves the mouth, for every four seconds of speech. The network is not in it.',
        unit: 's',
        queries: {
          '{{ahead}} ahead p50': quantileOf(0.5, 'talkmesh_mouth_apart_seconds', ['ahead']),
          '{{ahead}} ahead p95': quantileOf(0.95, 'talkmesh_mouth_apart_seconds', ['ahead']),
        },
        limits: [MOUTH_APART_P95_SECONDS / 2, MOUTH_APART_P95_SECONDS],
      }),
      curves({
        title: 'The mouth follows the loudness',
        help: `Correlation of the opening with the loudness. Below ${MOUTH_CORRELATION} the mouth does something else.`,
        unit: 'short',
        queries: { correlation: MOUTH_FOLLOWS },
      }),
    ],
  },
  {
    title: 'Edge',
    panels: [
      curves({
        title: 'HTTP requests, p95 by route',
        help: 'Duration of REST, WHIP and WHEP requests.',
        unit: 's',
        queries: { '{{method}} {{route}}': quantileOf(0.95, 'talkmesh_http_request_seconds', ['method', 'route']) },
      }),
      curves({
        title: 'HTTP answers by status',
        help: '5xx are ours; a rise of 401 or 429 is a wrong key or a client without back-off.',
        unit: 'reqps',
        queries: { '{{status}}': rateOf('talkmesh_http_request_seconds_count', ['status']) },
      }),
    ],
  },
]);
