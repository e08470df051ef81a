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

/** A mouth that closes and a voice that pauses for less than this are still speaking, milliseconds. */
const SPEAKING_MS = 250;

/** How long the passage above `level` that `atMs` lies in goes on, milliseconds; 0 when there is none. */
export function fallsAfter(samples: readonly Sample[], level: number, atMs: number): number {
  const passages = passagesOf(samples, level, { pauseMs: SPEAKING_MS, leastMs: 0 });
  const passage = passages.find(({ startMs, endMs }) => startMs <= atMs && endMs >= atMs);
  return passage === undefined ? 0 : passage.endMs - atMs;
}

/** A level between a closed mouth and an open one, from all that was shown: a quarter of the way up. */
export function mouthLevel(shown: readonly Sample[]): number {
  const values = shown.map(({ value }) => value).sort((a, b) => a - b);
  const at = (share: number): number => values[Math.floor(share * (values.length - 1))] ?? 0;
  return at(0.2) + 0.25 * (at(0.95) - at(0.2));
}
