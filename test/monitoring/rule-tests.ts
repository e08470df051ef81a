/** Tests of the alerts in promtool's format: ordinary operation in which none fires, and one incident for each alert. */
import { type Alert, GROUPS } from '../../deploy/monitoring/rules.js';

interface Series {
  readonly series: string;
  readonly values: string;
}

/** Whether an alert is firing at a time. The texts of alerts are not compared, because they hold measured values. */
interface AlertCase {
  readonly expr: string;
  readonly eval_time: string;
  readonly exp_samples: readonly [{ readonly labels: '{}'; readonly value: 0 | 1 }];
}

const alertCase = (alert: string, at: string, isFiring: boolean): AlertCase => ({
  expr: `(count(ALERTS{alertname="${alert}",alertstate="firing"}) > bool 0) or vector(0)`,
  eval_time: at,
  exp_samples: [{ labels: '{}', value: isFiring ? 1 : 0 }],
});

export interface RuleTests {
  readonly rule_files: readonly string[];
  readonly evaluation_interval: string;
  readonly tests: readonly {
    readonly interval: string;
    readonly input_series: readonly Series[];
    readonly promql_expr_test: readonly AlertCase[];
  }[];
}

const alerts = GROUPS.flatMap(({ rules }) => rules.filter((rule): rule is Alert => 'alert' in rule));

/** Samples, one a minute: a little more than six hours. */
const MINUTES = 380;
/** A counter that grows by `perMinute`. */
const growing = (series: string, perMinute: number): Series => ({ series, values: `0+${perMinute}x${MINUTES}` });
const constant = (series: string, value: number): Series => ({ series, values: `${value}x${MINUTES}` });

/** A histogram of which `share` of all values lie above `limit` seconds. */
const histogram = (name: string, limit: number, share: number, labels = ''): Series[] => {
  const bucket = (le: string): string => `${name}_bucket{${labels}le="${le}"}`;
  return [
    growing(bucket(String(limit)), 100 * (1 - share)),
    growing(bucket(String(limit * 4)), 100),
    growing(bucket('+Inf'), 100),
  ];
};

/** Ordinary operation. A key names what an incident replaces. */
const ORDINARY: Readonly<Record<string, readonly Series[]>> = {
  framesPlayed: [growing('talkmesh_frames_total{outcome="played"}', 75_000)],
  framesHeld: [growing('talkmesh_frames_total{outcome="held"}', 75)],
  sessionsOk: [growing('talkmesh_sessions_created_total{outcome="ok"}', 30)],
  sessionsFailed: [
    constant('talkmesh_sessions_created_total{outcome="NO_WORKER"}', 0),
    growing('talkmesh_sessions_created_total{outcome="SESSION_LIMIT"}', 60),
  ],
  ready: [constant('talkmesh_mesh_workers{service="score-model",instance="a"}', 1)],
  gateway: [constant('talkmesh_service_state{job="gateway",state="READY",instance="a"}', 1)],
  places: [constant('talkmesh_sessions{job="score-model"}', 4)],
  capacity: [constant('talkmesh_sessions_capacity{job="score-model"}', 8)],
  losses: [constant('talkmesh_worker_losses_total{service="score-model",cause="died"}', 1)],
  handovers: [
    growing('talkmesh_handovers_total{service="score-model",outcome="moved"}', 1),
    constant('talkmesh_handovers_total{service="score-model",outcome="ended"}', 0),
  ],
  rejected: [growing('talkmesh_message_rejected_total{job="score-model",reason="disconnected"}', 1)],
  wait: histogram('talkmesh_turn_wait_seconds', 0.6, 0.001),
  firstFrame: histogram('talkmesh_first_frame_seconds', 1, 0.001),
  skew: histogram('talkmesh_av_skew_seconds', 0.02, 0.001),
  mouthOpen: [growing('talkmesh_silent_frames_total{mouth="open"}', 5)],
  mouthClosed: [growing('talkmesh_silent_frames_total{mouth="closed"}', 995)],
  mouthApart: histogram('talkmesh_mouth_apart_seconds', 0.04, 0.001),
  mouthFollows: [
    growing('talkmesh_mouth_correlation_ratio_sum', 65),
    growing('talkmesh_mouth_correlation_ratio_count', 100),
  ],
  degraded: [growing('talkmesh_degraded_chunks_total{job="score-model"}', 5)],
  chunks: [growing('talkmesh_chunks_total{job="score-model"}', 125)],
  gaps: [constant('talkmesh_speech_gaps_total{outcome="lost"}', 0)],
  providerErrors: [constant('talkmesh_provider_errors_total{provider="openai-realtime",reason="PROVIDER_FAILED"}', 2)],
  // promtool's clock starts at 0.
  certificate: [constant('talkmesh_certificate_expiry_timestamp_seconds{job="gateway"}', 90 * 86_400)],
  eventLoop: [constant('nodejs_eventloop_lag_p99_seconds{job="vae-decode",instance="a"}', 0.012)],
  children: [constant('talkmesh_child_restarts_total{job="webrtc-egress",child="webrtc-viewers"}', 1)],
};

interface Incident {
  readonly alert: string;
  readonly replaces: Readonly<Record<string, readonly Series[]>>;
  readonly at: string;
}

const INCIDENTS: readonly Incident[] = [
  {
    alert: 'TalkmeshFramesBudgetBurn',
    replaces: { framesHeld: [growing('talkmesh_frames_total{outcome="held"}', 20_000)] },
    at: '2h',
  },
  {
    alert: 'TalkmeshSessionsBudgetBurn',
    replaces: { sessionsFailed: [growing('talkmesh_sessions_created_total{outcome="NO_WORKER"}', 30)] },
    at: '2h',
  },
  {
    alert: 'TalkmeshNoWorkerReady',
    replaces: { ready: [constant('talkmesh_mesh_workers{service="score-model",instance="a"}', 0)] },
    at: '5m',
  },
  // With the last process its series end.
  { alert: 'TalkmeshNoGatewayReady', replaces: { gateway: [] }, at: '5m' },
  {
    alert: 'TalkmeshCapacityLow',
    replaces: { places: [constant('talkmesh_sessions{job="score-model"}', 7)] },
    at: '20m',
  },
  {
    alert: 'TalkmeshWorkersLost',
    replaces: { losses: [growing('talkmesh_worker_losses_total{service="score-model",cause="died"}', 1)] },
    at: '20m',
  },
  {
    alert: 'TalkmeshHandOversFail',
    replaces: { handovers: [growing('talkmesh_handovers_total{service="score-model",outcome="ended"}', 1)] },
    at: '20m',
  },
  {
    alert: 'TalkmeshNatsMessagesRejected',
    replaces: { rejected: [growing('talkmesh_message_rejected_total{job="score-model",reason="disconnected"}', 600)] },
    at: '20m',
  },
  {
    alert: 'TalkmeshProviderFails',
    replaces: {
      providerErrors: [
        growing('talkmesh_provider_errors_total{provider="openai-realtime",reason="PROVIDER_FAILED"}', 2),
      ],
    },
    at: '20m',
  },
  {
    alert: 'TalkmeshCertificateExpires',
    replaces: { certificate: [constant('talkmesh_certificate_expiry_timestamp_seconds{job="gateway"}', 3 * 86_400)] },
    at: '2h',
  },
  { alert: 'TalkmeshTurnsWait', replaces: { wait: histogram('talkmesh_turn_wait_seconds', 0.6, 0.5) }, at: '30m' },
  {
    alert: 'TalkmeshFirstFrameSlow',
    replaces: { firstFrame: histogram('talkmesh_first_frame_seconds', 1, 0.5) },
    at: '30m',
  },
  {
    alert: 'TalkmeshPictureAndSoundApart',
    replaces: { skew: histogram('talkmesh_av_skew_seconds', 0.02, 0.5) },
    at: '30m',
  },
  {
    alert: 'TalkmeshMouthMovesInSilence',
    replaces: { mouthOpen: [growing('talkmesh_silent_frames_total{mouth="open"}', 200)] },
    at: '30m',
  },
  {
    alert: 'TalkmeshMouthAndSoundApart',
    replaces: { mouthApart: histogram('talkmesh_mouth_apart_seconds', 0.04, 0.5) },
    at: '30m',
  },
  {
    alert: 'TalkmeshMouthDoesNotFollow',
    replaces: {
      mouthFollows: [
        growing('talkmesh_mouth_correlation_ratio_sum', 20),
        growing('talkmesh_mouth_correlation_ratio_count', 100),
      ],
    },
    at: '30m',
  },
  {
    alert: 'TalkmeshChunksDegraded',
    replaces: { degraded: [growing('talkmesh_degraded_chunks_total{job="score-model"}', 60)] },
    at: '30m',
  },
  {
    alert: 'TalkmeshSpeechLost',
    replaces: { gaps: [growing('talkmesh_speech_gaps_total{outcome="lost"}', 1)] },
    at: '20m',
  },
  {
    alert: 'TalkmeshEventLoopBlocked',
    replaces: { eventLoop: [constant('nodejs_eventloop_lag_p99_seconds{job="vae-decode",instance="a"}', 0.4)] },
    at: '20m',
  },
  {
    alert: 'TalkmeshMediaProcessRestarts',
    replaces: { children: [growing('talkmesh_child_restarts_total{job="webrtc-egress",child="webrtc-viewers"}', 1)] },
    at: '20m',
  },
];

const series = (replaced: Incident['replaces'] = {}): Series[] => Object.values({ ...ORDINARY, ...replaced }).flat();

export function ruleTests(rules: string): RuleTests {
  const silent = [...new Set(alerts.map(({ alert }) => alert))].flatMap((alertname) =>
    ['1h', '6h'].map((at) => alertCase(alertname, at, false)),
  );
  const incidents = INCIDENTS.map(({ alert, replaces, at }) => ({
    interval: '1m',
    input_series: series(replaces),
    promql_expr_test: [alertCase(alert, at, true)],
  }));
  const ordinary = { interval: '1m', input_series: series(), promql_expr_test: silent };
  return { rule_files: [rules], evaluation_interval: '1m', tests: [ordinary, ...incidents] };
}
