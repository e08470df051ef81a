import type { CallStats } from '@talkmesh/client';
import { measureLipSync } from '../support/lip-sync/measure.js';
import { concatenate, speak } from '../support/speech.js';
import { median, percentile } from '../support/statistics.js';
import type { Row } from './table.js';

const SECONDS = 25;
/** The browser alone is only what the rest is compared with. */
const LONGEST_ALONE_SECONDS = 60;
/** The two take turns, because a busy machine changes from minute to minute. */
const ROUNDS = 2;

const NUMBERS_AT_A_TIME = 50;

/** Counting never repeats itself, so what is seen and heard has one place in what was sent. @returns `seconds` and some more, for the connection */
function counting(seconds: number): Int16Array {
  const parts: Int16Array[] = [];
  for (let samples = 0, from = 1; samples < 24_000 * (seconds + 20); from += NUMBERS_AT_A_TIME) {
    const part = speak(Array.from({ length: NUMBERS_AT_A_TIME }, (_, i) => from + i).join(', '));
    parts.push(part);
    samples += part.length;
  }
  return concatenate(...parts);
}

const NAMES = { alone: 'the browser alone', delayed: 'picture delayed by <talk-mesh>' } as const;

export interface LipOptions {
  /** Length of the call with `<talk-mesh>`; undefined: two short calls of each kind, in turn. */
  readonly minutes: number | undefined;
}

export interface LipTables {
  readonly lipSync: readonly Row[];
  /** What the browser received in the same calls. */
  readonly received: readonly Row[];
}

/** Lip sync in Chromium, with the picture delayed by `<talk-mesh>` and as the browser plays it by itself. */
export async function measureLips({ minutes }: LipOptions): Promise<LipTables> {
  const seconds = minutes === undefined ? SECONDS : 60 * minutes;
  const rounds = minutes === undefined ? ROUNDS : 1;
  const speech = counting(seconds);
  const skews = { alone: [] as number[], delayed: [] as number[] };
  const own: number[] = [];
  const received: Row[] = [];
  for (let round = 0; round < rounds; round++)
    for (const mayDelayPicture of [false, true]) {
      const kind = mayDelayPicture ? 'delayed' : 'alone';
      const length = mayDelayPicture ? seconds : Math.min(seconds, LONGEST_ALONE_SECONDS);
      const { windows, stats } = await measureLipSync({ speech, seconds: length, mayDelayPicture });
      skews[kind].push(...windows.map(({ skewMs }) => skewMs));
      if (mayDelayPicture) own.push(...stats.flatMap(({ avSkewMs }) => avSkewMs ?? []));
      received.push({ call: NAMES[kind], ...receivedOf(stats) });
    }
  const far = (values: readonly number[]): number => percentile(values.map(Math.abs), 0.95);
  const row = (name: string, values: readonly number[]): Row => ({
    'picture ahead of sound': name,
    windows: values.length,
    'median ms': median(values),
    'p5 ms': percentile(values, 0.05),
    'p95 ms': percentile(values, 0.95),
    'p95 of |skew| ms': far(values),
    'p95 x first row': far(values) / far(skews.alone),
  });
  const lipSync = [
    row(NAMES.alone, skews.alone),
    row(NAMES.delayed, skews.delayed),
    row("the same by the SDK's own statistics", own),
  ];
  return { lipSync, received };
}

/** From the SDK's statistics, one a second. */
function receivedOf(stats: readonly CallStats[]): Row {
  const [first, last] = [stats[0], stats.at(-1)];
  const seconds = stats.length - 1;
  const grown = (key: 'framesDecoded' | 'bytesReceived' | 'packetsLost' | 'freezes' | 'frozenMs'): number =>
    (last?.[key] ?? 0) - (first?.[key] ?? 0);
  return {
    'frames a second': grown('framesDecoded') / seconds,
    'kbit/s': (grown('bytesReceived') * 8) / 1000 / seconds,
    'packets lost a minute': (60 * grown('packetsLost')) / seconds,
    'freezes a minute': (60 * grown('freezes')) / seconds,
    'frozen ms a minute': (60 * grown('frozenMs')) / seconds,
  };
}
