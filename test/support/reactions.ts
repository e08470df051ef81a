import type { Sample } from './media-recording.js';

/** A passage above a level, milliseconds. */
export interface Passage {
  readonly startMs: number;
  readonly endMs: number;
}

/** Passages above `level`; interruptions of less than `pauseMs` do not end one, and shorter ones than `leastMs` are left out. */
export function passagesOf(
  samples: readonly Sample[],
  level: number,
  { pauseMs, leastMs }: { readonly pauseMs: number; readonly leastMs: number },
): Passage[] {
  const passages: { startMs: number; endMs: number }[] = [];
  for (const { atMs, value } of samples) {
    if (value <= level) continue;
    const last = passages.at(-1);
    if (last !== undefined && atMs - last.endMs < pauseMs) last.endMs = atMs;
    else passages.push({ startMs: atMs, endMs: atMs });
  }
  return passages.filter(({ startMs, endMs }) => endMs - startMs >= leastMs);
}

/** Time from `fromMs` until the first sample above `level` before `untilMs`, milliseconds. */
export function risesAfter(
  samples: readonly Sample[],
  level: number,
  fromMs: number,
  untilMs: number,
): number | undefined {
  const first = samples.find(({ atMs, value }) => atMs >= fromMs && atMs < untilMs && value > level);
  return first === undefined ? undefined : first.atMs - fromMs;
}

/** Time from `fromMs` until the last sample above `level` before `untilMs`, milliseconds; 0 when all are below. */
export function fallsAfter(samples: readonly Sample[], level: number, fromMs: number, untilMs: number): number {
  const last = samples.findLast(({ atMs, value }) => atMs >= fromMs && atMs < untilMs && value > level);
  return last === undefined ? 0 : last.atMs - fromMs;
}

/** A level between a closed mouth and an open one, from all that was shown: a quarter of the way up. */
export function mouthLevel(shown: readonly Sample[]): number {
  const values = shown.map(({ value }) => value).sort((a, b) => a - b);
  const at = (share: number): number => values[Math.floor(share * (values.length - 1))] ?? 0;
  return at(0.2) + 0.25 * (at(0.95) - at(0.2));
}
