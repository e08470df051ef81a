import type { DelayCounters } from './lip-sync.js';
import type { CallStats } from './types.js';

type Row = Record<string, unknown>;
type Report = ReadonlyMap<string, unknown>;
const number = (row: Row | undefined, key: string): number | undefined => {
  const value = row?.[key];
  return typeof value === 'number' ? value : undefined;
};
const inMs = (seconds: number | undefined): number | undefined => (seconds === undefined ? undefined : seconds * 1000);

function rowsOf(report: Report) {
  const rows = [...report.values()] as Row[];
  const inbound = rows.filter((row) => row['type'] === 'inbound-rtp');
  return {
    inbound,
    video: inbound.find((row) => row['kind'] === 'video'),
    audio: inbound.find((row) => row['kind'] === 'audio'),
    playout: rows.find((row) => row['type'] === 'media-playout'),
    pair: rows.find((row) => row['type'] === 'candidate-pair' && row['nominated'] === true),
  };
}

/** What a report alone tells; the rest of `CallStats` needs a video that plays. */
export type ReportStats = Omit<CallStats, 'avSkewMs' | 'pictureDelayMs' | 'soundDelayMs' | 'firstFrameMs'>;

/** Selects the values of an RTCStatsReport (W3C webrtc-stats) that describe the quality of a call. */
export function summarise(report: Report): ReportStats {
  const { inbound, video, audio, pair } = rowsOf(report);
  const sum = (key: string): number | undefined =>
    inbound.length === 0 ? undefined : inbound.reduce((total, row) => total + (number(row, key) ?? 0), 0);
  const delay = number(video, 'jitterBufferDelay');
  const emitted = number(video, 'jitterBufferEmittedCount');
  const [picture, sound] = [video, audio].map((row) => number(row, 'estimatedPlayoutTimestamp'));
  return {
    framesDecoded: number(video, 'framesDecoded'),
    framesPerSecond: number(video, 'framesPerSecond'),
    widthPx: number(video, 'frameWidth'),
    heightPx: number(video, 'frameHeight'),
    freezes: number(video, 'freezeCount'),
    frozenMs: inMs(number(video, 'totalFreezesDuration')),
    packetsLost: sum('packetsLost'),
    bytesReceived: sum('bytesReceived'),
    roundTripMs: inMs(number(pair, 'currentRoundTripTime')),
    jitterMs: inMs(number(audio, 'jitter')),
    jitterBufferMs: delay === undefined || !emitted ? undefined : (delay / emitted) * 1000,
    senderClockSkewMs: picture && sound ? picture - sound : undefined,
  };
}

/** The counters of the sound's delay. */
export function delayCounters(report: Report): DelayCounters {
  const { audio, playout } = rowsOf(report);
  return {
    bufferedS: number(audio, 'jitterBufferDelay') ?? 0,
    bufferedSamples: number(audio, 'jitterBufferEmittedCount') ?? 0,
    playoutS: number(playout, 'totalPlayoutDelay') ?? 0,
    playoutSamples: number(playout, 'totalSamplesCount') ?? 0,
  };
}

/** One line for a page: what a user who reports a bad call should read out. */
export function describeStats(stats: CallStats): string {
  const ms = (name: string, value: number | undefined): string =>
    value === undefined ? '' : `${name} ${Math.round(value)} ms`;
  const { avSkewMs: skew, framesPerSecond, packetsLost, freezes } = stats;
  const parts = [
    framesPerSecond === undefined ? '' : `${Math.round(framesPerSecond)} frames/s`,
    ms('round trip', stats.roundTripMs),
    ms('buffer', stats.jitterBufferMs),
    skew === undefined ? '' : `lips ${Math.round(Math.abs(skew))} ms ${skew < 0 ? 'late' : 'early'}`,
    ms('jitter', stats.jitterMs),
    freezes === undefined ? '' : `freezes ${freezes}`,
    packetsLost === undefined ? '' : `packets lost ${packetsLost}`,
    ms('first frame', stats.firstFrameMs),
  ];
  return parts.filter((part) => part !== '').join(' · ');
}
