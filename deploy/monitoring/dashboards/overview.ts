import {
  CAPACITY_SHARE,
  errorRatio,
  FIRST_FRAME_P95_SECONDS,
  OBJECTIVES,
  TURN_WAIT_P95_SECONDS,
} from '../objectives.js';
import { curves, dashboard, quantileOf, rateOf, shareOf, stat } from '../panels.js';

const { frames, sessions } = OBJECTIVES;
const WINDOW = '$__rate_interval';

/** First look: are the objectives met, how full is the mesh, what has changed? */
export const overview = dashboard('overview', 'overview', [
  {
    title: 'Objectives',
    panels: [
      stat({
        title: frames.title,
        help: 'Frames that were played when they were due. A late frame repeats the one before it. Objective: 99 %.',
        unit: 'percentunit',
        queries: { '': `1 - ((${errorRatio(frames, WINDOW)}) or vector(0))` },
        limits: [0.995, 0.99],
      }),
      stat({
        title: sessions.title,
        help: 'Sessions that opened, of those that were asked for correctly. Objective: 99 %.',
        unit: 'percentunit',
        queries: { '': `1 - ((${errorRatio(sessions, '$__range')}) or vector(0))` },
        limits: [0.995, 0.99],
      }),
      stat({
        title: 'First frame, p95',
        help: 'Time from the viewer’s SDP offer until its first frame is handed to WebRTC.',
        unit: 's',
        queries: { '': quantileOf(0.95, 'talkmesh_first_frame_seconds').replace(WINDOW, '$__range') },
        limits: [FIRST_FRAME_P95_SECONDS / 2, FIRST_FRAME_P95_SECONDS],
      }),
      stat({
        title: 'Wait for a turn, p95',
        help: 'Time from the first speech of a turn until the listener hears it, when no other turn is spoken.',
        unit: 's',
        queries: { '': quantileOf(0.95, 'talkmesh_turn_wait_seconds').replace(WINDOW, '$__range') },
        limits: [TURN_WAIT_P95_SECONDS / 2, TURN_WAIT_P95_SECONDS],
      }),
    ],
  },
  {
    title: 'Sessions and capacity',
    panels: [
      curves({
        title: 'Sessions',
        help: 'Sessions of the mesh by state, and viewers that are connected.',
        unit: 'short',
        queries: { '{{state}}': 'max by (state) (talkmesh_mesh_sessions)', viewers: 'sum(talkmesh_viewers)' },
      }),
      curves({
        title: 'Places taken',
        help: 'Sessions that the workers of each service hold, of those that they admit. Add workers before this reaches 1.',
        unit: 'percentunit',
        queries: { '{{job}}': 'sum by (job) (talkmesh_sessions) / sum by (job) (talkmesh_sessions_capacity)' },
        limits: [CAPACITY_SHARE - 0.15, CAPACITY_SHARE],
      }),
      curves({
        title: 'Sessions opened and refused',
        help: 'Requests to create a session, by outcome; empty while there are none.',
        unit: 'reqps',
        queries: { '{{outcome}}': `${rateOf('talkmesh_sessions_created_total', ['outcome'])} > 0` },
      }),
      curves({
        title: 'Sessions ended',
        help: '`failed`: a stage could not be moved in time.',
        unit: 'reqps',
        queries: { '{{reason}}': rateOf('talkmesh_sessions_ended_total', ['reason']) },
      }),
    ],
  },
  {
    title: 'What went wrong',
    panels: [
      curves({
        title: 'Frames held or dropped',
        help: 'Share of frames that repeat the one before (held), or that came too late to be played (dropped).',
        unit: 'percentunit',
        queries: {
          held: shareOf(rateOf('talkmesh_frames_total', [], '{outcome="held"}'), rateOf('talkmesh_frames_total')),
          dropped: shareOf(rateOf('talkmesh_frames_total', [], '{outcome="dropped"}'), rateOf('talkmesh_frames_total')),
        },
        limits: [0.005, 0.01],
      }),
      curves({
        title: 'Workers lost, hand-overs',
        help: 'Workers that were found lost, and stages of sessions that were moved to another worker.',
        unit: 'reqps',
        queries: {
          'lost {{service}}': rateOf('talkmesh_worker_losses_total', ['service']),
          'hand-over: {{outcome}}': rateOf('talkmesh_handovers_total', ['outcome']),
        },
      }),
      curves({
        title: 'Workers ready',
        help: 'Gateways that are ready, and healthy workers that they may send new sessions to.',
        unit: 'short',
        queries: {
          gateway: 'sum(talkmesh_service_state{job="gateway",state="READY"})',
          '{{service}}': 'max by (service) (talkmesh_mesh_workers)',
        },
      }),
      curves({
        title: 'CPU seconds for each second of a session',
        help: 'What a call costs: CPU of each service divided by the sessions of the mesh.',
        unit: 'short',
        queries: {
          '{{job}}':
            'sum by (job) (rate(process_cpu_seconds_total[$__rate_interval])) / on() group_left() (sum(max by (state) (talkmesh_mesh_sessions{state="open"})) > 0)',
        },
      }),
    ],
  },
]);
