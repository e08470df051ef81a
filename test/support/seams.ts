import type { CallTap, SeenFrame } from './call-tap.js';
import { percentile } from './statistics.js';

/** Mean absolute difference of the luma of two frames, 0 to 255; 0 if either is held, because a held frame repeats the previous one. */
export function pictureDifference({ frame: a }: SeenFrame, { frame: b }: SeenFrame): number {
  if (a.held || b.held) return 0;
  const luma = a.width * a.height;
  let sum = 0;
  for (let i = 0; i < luma; i++) sum += Math.abs((a.i420[i] as number) - (b.i420[i] as number));
  return sum / luma;
}

export interface Seam {
  readonly chunk: number;
  /** Difference of the frames on both sides. */
  readonly difference: number;
  /** 99th percentile of the differences at all other borders of chunks in this call. */
  readonly usual: number;
}

/**
 * The places at which another score or decoder worker took over, with the change of the frames. A score worker is replaced at a
 * border of chunks; a decoder that dies while it publishes a chunk leaves the rest of its frames to the next one.
 */
export function seamsOf(tap: CallTap): Seam[] {
  const frames = tap.inOrder();
  const borders: number[] = [];
  const seams: Omit<Seam, 'usual'>[] = [];
  for (const [i, next] of frames.entries()) {
    const before = frames[i - 1];
    if (before === undefined) continue;
    const { chunk } = next.frame;
    const isBorder = chunk === before.frame.chunk + 1;
    const isSeam = before.by !== next.by || (isBorder && tap.makers.get(chunk - 1) !== tap.makers.get(chunk));
    if (isSeam) seams.push({ chunk, difference: pictureDifference(before, next) });
    else if (isBorder) borders.push(pictureDifference(before, next));
  }
  const usual = percentile(borders, 0.99);
  return seams.map((seam) => ({ ...seam, usual }));
}

/** Describes the first sample at which the speech played differs from the speech sent; undefined when all of it was played, followed by silence. */
export function firstDifference(sent: Int16Array, heard: Int16Array): string | undefined {
  const at = sent.findIndex((sample, i) => heard[i] !== sample);
  if (at >= 0) return `sample ${at} of ${sent.length} is ${heard[at]}, not ${sent[at]}`;
  const more = heard.subarray(sent.length).findIndex((sample) => sample !== 0);
  return more < 0 ? undefined : `${heard.length - sent.length} samples too many, loud at ${more}`;
}

/** The same for speech that is sent while it is played: only silence may stand between its parts. */
export function firstDifferenceButPauses(sent: Int16Array, heard: Int16Array): string | undefined {
  let at = 0;
  for (const [i, sample] of heard.entries()) {
    if (at < sent.length && sample === sent[at]) at += 1;
    else if (sample !== 0) return `sample ${i} played is ${sample}; expected was ${sent[at]} (${at})`;
  }
  return at === sent.length ? undefined : `${sent.length - at} samples of ${sent.length} were not played`;
}
