import { rms } from '@talkmesh/media';

/** A frame with less sound than this is silent, dBFS. */
const SILENT_DB = -50;
/** Quieter sound counts as this loud, so that the depth of a pause does not outweigh the speech, dBFS. */
const FLOOR_DB = -40;
/** A mouth may still close for so many frames after a sound, and opens so many frames before one. */
const SETTLE_FRAMES = 6;
const LEAD_FRAMES = 5;
/** The mouth shows as open from here on, 0..1. */
const OPEN = 0.08;
/** Length of the passage that is compared, and how many of its frames must have sound, seconds. */
const WINDOW_S = 4;
const SOUND_S = 2;
/** Longest distance that is looked for, frames. */
const MAX_LAG = 8;
/** Below this the mouth does not follow the sound, and a distance would mean nothing. */
const FOLLOWS = 0.4;

export interface MouthReport {
  /** Frames of settled silence. */
  readonly silent: { readonly open: number; readonly closed: number };
  /** After each passage of speech. */
  readonly speech?: {
    /** Of the mouth's opening with the loudness in decibels, at the distance where it is highest; 0 to 1. */
    readonly correlation: number;
    /** How much later the mouth is than the sound, seconds; negative: earlier. Undefined when the mouth does not follow. */
    readonly lagS: number | undefined;
  };
}

interface Frame {
  readonly opening: number;
  readonly db: number;
}

/** Compares, for the chunks of one session, how far the mouth is open with how loud the sound is. */
export class MouthMonitor {
  readonly #fps: number;
  #nextChunk = 0;
  /** The frames that silence is judged by, the oldest first. */
  #recent: Frame[] = [];
  #passage: Frame[] = [];

  constructor(fps: number) {
    this.#fps = fps;
  }

  /** @param openings of the chunk's frames, 0..1 @param pcm the chunk's sound */
  add(chunk: number, openings: Float32Array, pcm: Int16Array): MouthReport {
    if (chunk !== this.#nextChunk) [this.#recent, this.#passage] = [[], []];
    this.#nextChunk = chunk + 1;
    const samples = pcm.length / openings.length;
    const frames = Array.from(openings, (opening, i) => {
      const level = rms(pcm.subarray(Math.round(i * samples), Math.round((i + 1) * samples)));
      return { opening, db: 20 * Math.log10(Math.max(level, 1e-6)) };
    });
    const speech = this.#speech(frames);
    return { silent: this.#silence(frames), ...(speech !== undefined && { speech }) };
  }

  #silence(frames: readonly Frame[]): MouthReport['silent'] {
    this.#recent.push(...frames);
    const silent = { open: 0, closed: 0 };
    let run = 0;
    for (const [i, { db }] of this.#recent.entries()) {
      run = db < SILENT_DB ? run + 1 : 0;
      if (run <= SETTLE_FRAMES + LEAD_FRAMES) continue;
      const { opening } = this.#recent[i - LEAD_FRAMES] as Frame;
      silent[opening > OPEN ? 'open' : 'closed'] += 1;
    }
    this.#recent = this.#recent.slice(-(SETTLE_FRAMES + LEAD_FRAMES));
    return silent;
  }

  #speech(frames: readonly Frame[]): MouthReport['speech'] {
    this.#passage.push(...frames);
    if (this.#passage.length < WINDOW_S * this.#fps) return undefined;
    const passage = this.#passage;
    this.#passage = [];
    if (passage.filter(({ db }) => db > FLOOR_DB).length < SOUND_S * this.#fps) return undefined;
    const openings = passage.map(({ opening }) => opening);
    const levels = passage.map(({ db }) => Math.max(FLOOR_DB, db));
    const correlations = Array.from({ length: 2 * MAX_LAG + 1 }, (_, i) =>
      correlationAt(i - MAX_LAG, openings, levels),
    );
    const correlation = Math.max(0, ...correlations);
    const best = correlations.indexOf(correlation);
    const isPeak = best > 0 && best < 2 * MAX_LAG && correlation >= FOLLOWS;
    const lagS = isPeak ? (best - MAX_LAG + peakOffset(correlations, best)) / this.#fps : undefined;
    return { correlation, lagS };
  }
}

/** Pearson's correlation of the openings with the levels `lag` frames before. */
function correlationAt(lag: number, openings: readonly number[], levels: readonly number[]): number {
  const count = openings.length - Math.abs(lag);
  const a = openings.slice(Math.max(0, lag), Math.max(0, lag) + count);
  const b = levels.slice(Math.max(0, -lag), Math.max(0, -lag) + count);
  const [meanA, meanB] = [mean(a), mean(b)];
  const products = a.map((value, i) => (value - meanA) * ((b[i] as number) - meanB));
  const spread = Math.sqrt(mean(a.map((value) => (value - meanA) ** 2)) * mean(b.map((value) => (value - meanB) ** 2)));
  return spread === 0 ? 0 : mean(products) / spread;
}

/** Where between the values the parabola through three of them has its top, -0.5..0.5. */
function peakOffset(values: readonly number[], at: number): number {
  const [left, top, right] = [values[at - 1] as number, values[at] as number, values[at + 1] as number];
  const bend = left - 2 * top + right;
  return bend === 0 ? 0 : Math.max(-0.5, Math.min(0.5, (left - right) / (2 * bend)));
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
