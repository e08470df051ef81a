import { measureLipSync } from '../support/lip-sync/measure.js';
import { speak } from '../support/speech.js';
import { median, percentile } from '../support/statistics.js';
import type { Row } from './table.js';

const SECONDS = 25;
/** The two take turns, because a busy machine changes from minute to minute. */
const ROUNDS = 2;

/** Counting never repeats itself, so what is seen and heard has one place in what was sent. */
const counting = (): Int16Array => speak(Array.from({ length: 90 }, (_, i) => i + 1).join(', '));

/** Lip sync in Chromium, with the picture delayed by `<talk-mesh>` and as the browser plays it by itself. */
export async function measureLips(): Promise<Row[]> {
  const speech = counting();
  const skews = { alone: [] as number[], delayed: [] as number[] };
  const own: number[] = [];
  for (let round = 0; round < ROUNDS; round++)
    for (const mayDelayPicture of [false, true]) {
      const { windows, stats } = await measureLipSync({ speech, seconds: SECONDS, mayDelayPicture });
      skews[mayDelayPicture ? 'delayed' : 'alone'].push(...windows.map(({ skewMs }) => skewMs));
      if (mayDelayPicture) own.push(...stats.flatMap(({ avSkewMs }) => avSkewMs ?? []));
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
  return [
    row('the browser alone', skews.alone),
    row('picture delayed by <talk-mesh>', skews.delayed),
    row("the same by the SDK's own statistics", own),
  ];
}
