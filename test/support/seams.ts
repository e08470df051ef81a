import type { CallTap, SeenFrame } from './call-tap.js';
import { percentile } from './statistics.js';

/** Mean absolute difference of the luma of two frames, 0 to 255; a held one has no picture of its own and changes nothing. */
export function pictureDifference({ frame: a }: SeenFrame, { frame: b }: SeenFrame): number {
  if (a.held || b.held) return 0;
  const luma = a.width * a.height;
  let sum = 0;
  for (let i = 0; i < luma; i++) sum += Math.abs((a.i420[i] as number) - (b.i420[i] as number));
  return sum / luma;
}

export interface Seam {
  readonly chunk: number;
  /** Difference of the pictures on both sides. */
  readonly difference: number;
  /** 99th percentile of the differences at all other borders of chunks in this call. */
  readonly usual: number;
}

/** Where another score worker or another decoder went on, and how the picture changes there. */
export function seamsOf(tap: CallTap): Seam[] {
  const frames = tap.inOrder();
  const borders: { chunk: number; difference: number; seam: boolean }[] = [];
  for (const [i, next] of frames.entries()) {
    const before = frames[i - 1];
    if (before === undefined || next.frame.chunk !== before.frame.chunk + 1) continue;
    const difference = pictureDifference(before, next);
    const { chunk } = next.frame;
    const seam = before.by !== next.by || tap.makers.get(chunk - 1) !== tap.makers.get(chunk);
    borders.push({ chunk, difference, seam });
  }
  const usual = percentile(
    borders.filter(({ seam }) => !seam).map(({ difference }) => difference),
    0.99,
  );
  return borders.filter(({ seam }) => seam).map(({ chunk, difference }) => ({ chunk, difference, usual }));
}

/** The first sample at which what was heard is not what was sent; undefined when all of it was heard, with silence behind it. */
export function firstDifference(sent: Int16Array, heard: Int16Array): string | undefined {
  const at = sent.findIndex((sample, i) => heard[i] !== sample);
  if (at >= 0) return `sample ${at} of ${sent.length} is ${heard[at]}, not ${sent[at]}`;
  const more = heard.subarray(sent.length).findIndex((sample) => sample !== 0);
  return more < 0 ? undefined : `${heard.length - sent.length} samples too many, loud at ${more}`;
}

/** The same for speech that is still being made while it is spoken: silence may stand between its parts, and nothing else. */
export function firstDifferenceButPauses(sent: Int16Array, heard: Int16Array): string | undefined {
  let at = 0;
  for (const [i, sample] of heard.entries()) {
    if (at < sent.length && sample === sent[at]) at += 1;
    else if (sample !== 0)
      return `sample ${i} of what was heard is ${sample}; next to be heard was ${sent[at]} (${at})`;
  }
  return at === sent.length ? undefined : `${sent.length - at} samples of ${sent.length} were not heard`;
}
