import {
  AV_SKEW_P95_SECONDS,
  CAPACITY_SHARE,
  CERTIFICATE_DAYS,
  errorRatio,
  FIRST_FRAME_P95_SECONDS,
  MOUTH_APART_P95_SECONDS,
  MOUTH_CORRELATION,
  MOUTH_FOLLOWS,
  OBJECTIVES,
  type Objective,
  OPEN_IN_SILENCE,
  OPEN_IN_SILENCE_SHARE,
  PROVIDER_FAILURES,
  TURN_WAIT_P95_SECONDS,
} from './objectives.js';

export interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: { readonly severity: 'page' | 'ticket'; readonly window?: string };
  readonly annotations: { readonly summary: string; readonly description: string; readonly runbook_url: string };
}

export interface Recording {
  readonly record: string;
  readonly expr: string;
}

export interface Group {
  readonly name: string;
  readonly rules: readonly (Alert | Recording)[];
}

/** Folder of the runbooks in this repository. The chart puts a deployment's own address before it. */
export const RUNBOOKS = 'docs/runbooks';

/** Windows of the ratios that are recorded for each objective. */
const WINDOWS = ['5m', '30m', '1h', '6h', '3d'] as const;

/**
 * Burn rates of the SRE workbook, chapter 5: 14.4 uses 2 % of a 30-day budget in an hour, 6 uses 5 % in six hours, 1 uses 10 % in three
 * days. The short window ends an alert soon after its cause.
 */
const BURNS = [
  { rate: 14.4, long: '1h', short: '5m', severity: 'page' },
  { rate: 6, long: '6h', short: '30m', severity: 'page' },
  { rate: 1, long: '3d', short: '6h', severity: 'ticket' },
] as const;

const ratioName = (objective: Objective, window: string): string =>
  `talkmesh:${objective.name}_bad:ratio_rate${window}`;

const recordings = (objective: Objective): Recording[] =>
  WINDOWS.map((window) => ({ record: ratioName(objective, window), expr: errorRatio(objective, window) }));

function burnAlerts(objective: Objective): Alert[] {
  const budget = Math.round((1 - objective.target) * 1e6) / 1e6;
  const promised = `${objective.target * 100} %`;
  return BURNS.map(({ rate, long, short, severity }) => ({
    alert: `Talkmesh${capital(objective.name)}BudgetBurn`,
    expr: [
      `${ratioName(objective, long)} > ${rate} * ${budget}`,
      `and ${ratioName(objective, short)} > ${rate} * ${budget}`,
      `and ${objective.all.replaceAll('$window', short)} > ${objective.fewest}`,
    ].join('\n'),
    labels: { severity, window: long },
    annotations: {
      summary: `${objective.title}: the error budget burns ${rate} times too fast`,
      description: `{{ $value | humanizePercentage }} were bad in the last ${long}; ${promised} good ones are promised.`,
      runbook_url: `${RUNBOOKS}/${objective.runbook}.md`,
    },
  }));
}

const capital = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1);

interface AlertText {
  readonly name: string;
  readonly expr: string;
  readonly for?: string;
  readonly severity: 'page' | 'ticket';
  readonly summary: string;
  readonly description: string;
  readonly runbook: string;
}

const alert = ({ name, expr, severity, summary, description, runbook, ...rest }: AlertText): Alert => ({
  alert: `Talkmesh${name}`,
  expr,
  ...(rest.for !== undefined && { for: rest.for }),
  labels: { severity },
  annotations: { summary, description, runbook_url: `${RUNBOOKS}/${runbook}.md` },
});

const quantile = (histogram: string, by = ''): string =>
  `histogram_quantile(0.95, sum by (le${by}) (rate(${histogram}_bucket[10m])))`;

const availability: readonly Alert[] = [
  alert({
    name: 'NoWorkerReady',
    expr: 'max by (service) (talkmesh_mesh_workers) == 0',
    for: '2m',
    severity: 'page',
    summary: 'No {{ $labels.service }} is ready',
    description: 'New sessions are refused with NO_WORKER, and running ones end when their stage cannot be moved.',
    runbook: 'no-worker-ready',
  }),
  alert({
    name: 'NoGatewayReady',
    expr: 'absent(talkmesh_service_state{job="gateway",state="READY"} == 1)',
    for: '2m',
    severity: 'page',
    summary: 'No gateway is ready',
    description: 'There are no new calls, and nothing moves the sessions of workers that are lost.',
    runbook: 'no-worker-ready',
  }),
  alert({
    name: 'CapacityLow',
    expr: `sum by (job) (talkmesh_sessions) / sum by (job) (talkmesh_sessions_capacity) > ${CAPACITY_SHARE}`,
    for: '10m',
    severity: 'ticket',
    summary: '{{ $labels.job }} is almost full',
    description: '{{ $value | humanizePercentage }} of the places are taken. The next callers will be refused.',
    runbook: 'capacity-low',
  }),
  alert({
    name: 'WorkersLost',
    expr: 'sum by (service) (increase(talkmesh_worker_losses_total[10m])) >= 3',
    severity: 'page',
    summary: '{{ $labels.service }} workers are lost again and again',
    description: '{{ $value | humanize }} losses in 10 minutes. Each moves sessions, and the next may find no room.',
    runbook: 'workers-lost',
  }),
  alert({
    name: 'HandOversFail',
    expr: 'sum by (service) (increase(talkmesh_handovers_total{outcome="ended"}[15m])) > 0',
    severity: 'page',
    summary: 'Sessions end because {{ $labels.service }} cannot be moved',
    description: '{{ $value | humanize }} sessions found no other worker in time.',
    runbook: 'workers-lost',
  }),
  alert({
    name: 'CertificateExpires',
    expr: `min by (job) (talkmesh_certificate_expiry_timestamp_seconds) - time() < ${CERTIFICATE_DAYS} * 86400`,
    for: '1h',
    severity: 'ticket',
    summary: 'The gRPC certificate of {{ $labels.job }} expires',
    description:
      'It is valid for another {{ $value | humanizeDuration }}; after that the gateway cannot call the workers.',
    runbook: 'certificate-expires',
  }),
  alert({
    name: 'NatsMessagesRejected',
    expr: 'sum by (job, reason) (rate(talkmesh_message_rejected_total[5m])) > 1',
    for: '5m',
    severity: 'ticket',
    summary: '{{ $labels.job }} loses NATS messages: {{ $labels.reason }}',
    description: '{{ $value | humanize }} messages per second are not sent or are rejected on receipt.',
    runbook: 'nats-messages-rejected',
  }),
];

const experience: readonly Alert[] = [
  alert({
    name: 'ProviderFails',
    expr: `sum by (provider) (increase(talkmesh_provider_errors_total[10m])) >= ${PROVIDER_FAILURES}`,
    severity: 'page',
    summary: 'The conversation provider {{ $labels.provider }} fails',
    description: '{{ $value | humanize }} failures in 10 minutes; callers get no answer.',
    runbook: 'provider-fails',
  }),
  alert({
    name: 'TurnsWait',
    expr: `${quantile('talkmesh_turn_wait_seconds')} > ${TURN_WAIT_P95_SECONDS}`,
    for: '10m',
    severity: 'page',
    summary: 'Callers wait too long for an answer',
    description: 'From speech to sound it takes {{ $value | humanizeDuration }} (p95).',
    runbook: 'turns-wait',
  }),
  alert({
    name: 'FirstFrameSlow',
    expr: `${quantile('talkmesh_first_frame_seconds')} > ${FIRST_FRAME_P95_SECONDS}`,
    for: '10m',
    severity: 'ticket',
    summary: 'Calls start slowly',
    description: 'The first frame takes {{ $value | humanizeDuration }} (p95).',
    runbook: 'first-frame-slow',
  }),
  alert({
    name: 'PictureAndSoundApart',
    expr: `${quantile('talkmesh_av_skew_seconds')} > ${AV_SKEW_P95_SECONDS}`,
    for: '10m',
    severity: 'page',
    summary: 'Lips and voice are out of step',
    description: 'Video and audio of a frame leave {{ $value | humanizeDuration }} apart (p95).',
    runbook: 'picture-and-sound-apart',
  }),
  alert({
    name: 'MouthMovesInSilence',
    expr: `${OPEN_IN_SILENCE} > ${OPEN_IN_SILENCE_SHARE}`,
    for: '10m',
    severity: 'ticket',
    summary: 'Lips move although nothing is said',
    description: 'The mouth is open in {{ $value | humanizePercentage }} of the silent frames.',
    runbook: 'mouth-and-sound-apart',
  }),
  alert({
    name: 'MouthAndSoundApart',
    expr: `${quantile('talkmesh_mouth_apart_seconds')} > ${MOUTH_APART_P95_SECONDS}`,
    for: '10m',
    severity: 'ticket',
    summary: 'The model moves the lips too early or too late',
    description: 'Mouth and sound of the decoded frames are {{ $value | humanizeDuration }} apart (p95).',
    runbook: 'mouth-and-sound-apart',
  }),
  alert({
    name: 'MouthDoesNotFollow',
    expr: `${MOUTH_FOLLOWS} < ${MOUTH_CORRELATION}`,
    for: '10m',
    severity: 'ticket',
    summary: 'The lips do not follow the voice',
    description: 'Opening of the mouth and loudness of the speech correlate with {{ $value | humanize }} only.',
    runbook: 'mouth-and-sound-apart',
  }),
  alert({
    name: 'ChunksDegraded',
    expr: 'sum by (job) (rate(talkmesh_degraded_chunks_total[10m])) / sum by (job) (rate(talkmesh_chunks_total[10m])) > 0.2',
    for: '10m',
    severity: 'ticket',
    summary: '{{ $labels.job }} saves steps all the time',
    description:
      '{{ $value | humanizePercentage }} of the chunks have fewer steps or a frozen picture: too many sessions for a worker.',
    runbook: 'chunks-degraded',
  }),
  alert({
    name: 'SpeechLost',
    expr: 'sum(increase(talkmesh_speech_gaps_total{outcome="lost"}[15m])) > 0',
    severity: 'ticket',
    summary: 'Speech is lost between the bridge and the score model',
    description: '{{ $value | humanize }} gaps could not be read back from NATS.',
    runbook: 'nats-messages-rejected',
  }),
  alert({
    name: 'EventLoopBlocked',
    expr: 'max by (job, instance) (nodejs_eventloop_lag_p99_seconds) > 0.2',
    for: '10m',
    severity: 'ticket',
    summary: '{{ $labels.instance }} has no CPU to spare',
    description: 'Its event loop is late by {{ $value | humanizeDuration }} (p99); frames become late from 50 ms on.',
    runbook: 'frames-late',
  }),
  alert({
    name: 'MediaProcessRestarts',
    expr: 'sum by (job, child) (increase(talkmesh_child_restarts_total[15m])) >= 3',
    severity: 'ticket',
    summary: 'The {{ $labels.child }} process of {{ $labels.job }} keeps dying',
    description: '{{ $value | humanize }} restarts in 15 minutes; each one interrupts its calls for about two seconds.',
    runbook: 'media-process-restarts',
  }),
];

/** All rules, as Prometheus reads them. */
export const GROUPS: readonly Group[] = [
  ...Object.values(OBJECTIVES).flatMap((objective: Objective) => [
    { name: `talkmesh-${objective.name}-ratios`, rules: recordings(objective) },
    { name: `talkmesh-${objective.name}-budget`, rules: burnAlerts(objective) },
  ]),
  { name: 'talkmesh-availability', rules: availability },
  { name: 'talkmesh-experience', rules: experience },
];
