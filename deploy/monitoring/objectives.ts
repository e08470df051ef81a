/** Service level objectives. Dashboards, recording rules and alerts take their numbers from here. */

export interface Objective {
  /** Name in recording rules and alerts. */
  readonly name: string;
  readonly title: string;
  /** Fraction of good events that is promised. */
  readonly target: number;
  /** PromQL with `$window`: bad events per second, and all events per second. */
  readonly bad: string;
  readonly all: string;
  /** Fewest events per second that are judged: a single failure of a quiet deployment is no alert. */
  readonly fewest: number;
  readonly runbook: string;
}

export const OBJECTIVES = {
  frames: {
    name: 'frames',
    title: 'Frames on time',
    target: 0.99,
    bad: 'sum(rate(talkmesh_frames_total{outcome="held"}[$window]))',
    all: 'sum(rate(talkmesh_frames_total{outcome=~"played|held"}[$window]))',
    fewest: 5,
    runbook: 'frames-late',
  },
  sessions: {
    name: 'sessions',
    title: 'Sessions opened',
    target: 0.99,
    // What the caller asked wrongly, and a deployment that is full on purpose, is no failure of the service.
    bad: 'sum(rate(talkmesh_sessions_created_total{outcome!~"ok|ARGUMENT_INVALID|AVATAR_NOT_FOUND|PROVIDER_UNKNOWN|CANCELLED|SESSION_LIMIT|RATE_LIMITED"}[$window]))',
    all: 'sum(rate(talkmesh_sessions_created_total[$window]))',
    fewest: 0.005,
    runbook: 'sessions-fail',
  },
} as const satisfies Readonly<Record<string, Objective>>;

/** Longest time until the listener hears the first of a turn that the mesh has accepted, and until a viewer sees the first frame, seconds. */
export const TURN_WAIT_P95_SECONDS = 1.5;
export const FIRST_FRAME_P95_SECONDS = 2;
/** Difference between picture and sound that people begin to notice (ITU-R BT.1359: 45 ms when sound leads), seconds. */
export const AV_SKEW_P95_SECONDS = 0.045;
/** Share of silent frames in which the mouth is open, and how well its opening follows the loudness of speech (PromQL). */
export const OPEN_IN_SILENCE =
  'sum(rate(talkmesh_silent_frames_total{mouth="open"}[10m])) / sum(rate(talkmesh_silent_frames_total[10m]))';
export const MOUTH_FOLLOWS =
  'sum(rate(talkmesh_mouth_correlation_ratio_sum[10m])) / sum(rate(talkmesh_mouth_correlation_ratio_count[10m]))';
/** nano has 0 %, 0.65 and 30 ms (docs/measurements/lip-sync.md). */
export const OPEN_IN_SILENCE_SHARE = 0.05;
export const MOUTH_CORRELATION = 0.4;
export const MOUTH_APART_P95_SECONDS = 0.12;
/** Share of places that may be taken before a deployment needs more workers. */
export const CAPACITY_SHARE = 0.85;
/** Failures of a conversation provider in 10 minutes that are no coincidence. */
export const PROVIDER_FAILURES = 5;
/** A certificate is renewed before it is valid for less than this. */
export const CERTIFICATE_DAYS = 7;

export const errorRatio = ({ bad, all }: Objective, window: string): string =>
  `(${bad.replaceAll('$window', window)}) / (${all.replaceAll('$window', window)})`;
