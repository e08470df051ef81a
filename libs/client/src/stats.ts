import type { CallStats } from './types.js';

type Row = Record<string, unknown>;
const number = (row: Row | undefined, key: string): number | undefined => {
  const value = row?.[key];
  return typeof value === 'number' ? value : undefined;
};

/** Selects the values of an RTCStatsReport (W3C webrtc-stats) that describe the quality of a call. */
export function summarise(report: ReadonlyMap<string, unknown>): CallStats {
  const rows = [...report.values()] as Row[];
  const video = rows.find((row) => row['type'] === 'inbound-rtp' && row['kind'] === 'video');
  const pair = rows.find((row) => row['type'] === 'candidate-pair' && row['nominated'] === true);
  const inbound = rows.filter((row) => row['type'] === 'inbound-rtp');
  const sum = (key: string): number | undefined =>
    inbound.length === 0 ? undefined : inbound.reduce((total, row) => total + (number(row, key) ?? 0), 0);
  const delay = number(video, 'jitterBufferDelay');
  const emitted = number(video, 'jitterBufferEmittedCount');
  const roundTrip = number(pair, 'currentRoundTripTime');
  return {
    framesDecoded: number(video, 'framesDecoded'),
    framesPerSecond: number(video, 'framesPerSecond'),
    widthPx: number(video, 'frameWidth'),
    heightPx: number(video, 'frameHeight'),
    freezes: number(video, 'freezeCount'),
    packetsLost: sum('packetsLost'),
    bytesReceived: sum('bytesReceived'),
    roundTripMs: roundTrip === undefined ? undefined : roundTrip * 1000,
    jitterBufferMs: delay === undefined || !emitted ? undefined : (delay / emitted) * 1000,
  };
}
