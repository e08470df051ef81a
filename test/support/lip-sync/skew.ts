import type { Sample } from '../media-recording.js';
import { correlation } from '../statistics.js';

/** What the source sent: the frame with index i is meant for the time i / fps. */
export interface SentSignals {
  readonly fps: number;
  /** Opening of the mouth, one value for each frame. */
  readonly openings: readonly number[];
  /** Loudness of the sound, `hops` values for each frame. */
  readonly loudness: readonly number[];
  readonly hops: number;
}

export interface SkewWindow {
  /** First frame of the window. */
  readonly frame: number;
  /** Positive when the picture is ahead of its sound, milliseconds. */
  readonly skewMs: number;
}

const WINDOW_FRAMES = 40;
const STEP_FRAMES = 10;
const NEAR_MS = 200;
const FAR_MS = 3000;
/** Windows in which picture or sound resemble what was sent less than this are left out: there was a freeze, a gap, or silence. */
const LEAST_CORRELATION = 0.8;
/** Silence and near silence count as the same loudness. */
const FLOOR = 0.003;

interface Lag {
  readonly ms: number;
  readonly correlation: number;
}

/**
 * Lip sync as seen and heard. In each window of what was sent it finds, by correlation, when the same openings were on the display and when
 * the same loudness was heard; the difference of the two is the skew.
 */
export function skewWindows(sent: SentSignals, shown: readonly Sample[], heard: readonly Sample[]): SkewWindow[] {
  const frameMs = 1000 / sent.fps;
  const hopMs = frameMs / sent.hops;
  const seen = stepsOf(shown);
  const heardAt = stepsOf(heard.map(({ atMs, value }) => ({ atMs, value: level(value) })));
  const endMs = Math.min(shown.at(-1)?.atMs ?? 0, heard.at(-1)?.atMs ?? 0);
  const windows: SkewWindow[] = [];
  let startMs = startOf(sent, shown);
  for (
    let frame = firstFrame(startMs, shown, frameMs);
    frame + WINDOW_FRAMES <= sent.openings.length;
    frame += STEP_FRAMES
  ) {
    const dueMs = startMs + frame * frameMs;
    if (dueMs + WINDOW_FRAMES * frameMs + FAR_MS / 10 > endMs) break;
    const hops = Array.from({ length: WINDOW_FRAMES * sent.hops }, (_, i) => (i + 0.5) * hopMs);
    const openings = hops.map((_, i) => sent.openings[frame + Math.floor(i / sent.hops)] ?? 0);
    const levels = hops.map((_, i) => level(sent.loudness[frame * sent.hops + i] ?? 0));
    const at = (steps: Steps, ms: number) => (values: readonly number[], lagMs: number) =>
      correlation(
        values,
        hops.map((hop) => steps(ms + hop + lagMs)),
      );
    let picture = bestLag(openings, at(seen, dueMs), 0, NEAR_MS);
    if (picture.correlation < LEAST_CORRELATION) picture = bestLag(openings, at(seen, dueMs), 0, FAR_MS);
    if (picture.correlation < LEAST_CORRELATION) continue;
    startMs += picture.ms;
    const sound = bestLag(levels, at(heardAt, dueMs), picture.ms, 2 * NEAR_MS);
    if (sound.correlation >= LEAST_CORRELATION) windows.push({ frame, skewMs: sound.ms - picture.ms });
  }
  return windows;
}

const level = (loudness: number): number => Math.log(FLOOR + loudness);

type Steps = (atMs: number) => number;

/** The value that holds at a time. */
function stepsOf(samples: readonly Sample[]): Steps {
  return (atMs) => {
    let [low, high] = [0, samples.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((samples[middle]?.atMs ?? 0) <= atMs) low = middle + 1;
      else high = middle;
    }
    return samples[Math.max(0, low - 1)]?.value ?? 0;
  };
}

/** The lag within `range` of `around` at which two signals are most alike: coarse first, then fine, then by a parabola through the best three. */
function bestLag(
  values: readonly number[],
  correlationAt: (values: readonly number[], lagMs: number) => number,
  around: number,
  range: number,
): Lag {
  const at = (lagMs: number): number => {
    const found = correlationAt(values, lagMs);
    return Number.isNaN(found) ? -1 : found;
  };
  const scan = (from: number, to: number, step: number): number => {
    let best = from;
    let highest = -2;
    for (let lag = from; lag <= to; lag += step) {
      const found = at(lag);
      if (found > highest) [best, highest] = [lag, found];
    }
    return best;
  };
  const coarse = scan(around - range, around + range, 20);
  const fine = scan(coarse - 20, coarse + 20, 2.5);
  const [before, highest, after] = [at(fine - 2.5), at(fine), at(fine + 2.5)];
  const bend = before - 2 * highest + after;
  return { ms: bend < 0 ? fine + (1.25 * (before - after)) / bend : fine, correlation: highest };
}

/** When frame 0 would have been on the display: the beginning of what was shown is looked for everywhere in what was sent. */
function startOf({ fps, openings }: SentSignals, shown: readonly Sample[]): number {
  const frameMs = 1000 / fps;
  const seen = stepsOf(shown);
  const fromMs = (shown[0]?.atMs ?? 0) + 500;
  const beginning = Array.from({ length: 2 * WINDOW_FRAMES }, (_, i) => seen(fromMs + (i + 0.5) * frameMs));
  let [best, highest] = [0, -2];
  for (let frame = 0; frame + beginning.length <= openings.length; frame++) {
    const found = correlation(openings.slice(frame, frame + beginning.length), beginning);
    if (found > highest) [best, highest] = [frame, found];
  }
  return fromMs - best * frameMs;
}

const firstFrame = (startMs: number, shown: readonly Sample[], frameMs: number): number =>
  Math.max(0, Math.ceil(((shown[0]?.atMs ?? 0) + NEAR_MS - startMs) / frameMs));
