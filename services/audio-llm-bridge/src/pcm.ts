import { rms } from '@talkmesh/media';

const FULL_SCALE = 32_768;
const FRAME_MS = 20;
/** A frame this much quieter than the loudest one is silence... */
const SILENCE_RATIO = 0.06;
/** ...and so is any frame below this RMS (-50 dBFS). */
const SILENCE_FLOOR = 0.003;
const MARGIN_MS = 80;
/** Length of the pieces that are processed without a break, short enough not to delay other sessions. */
const PIECE_MS = { shortest: 1200, longest: 2400 } as const;

export function joinPcm(parts: readonly Int16Array[]): Int16Array {
  const joined = new Int16Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** Copies of at most `ms` each, the messages in which providers emit speech. */
export function inPieces(pcm: Int16Array, rateHz: number, ms = 100): Int16Array[] {
  const step = Math.round((rateHz * ms) / 1000);
  const pieces: Int16Array[] = [];
  for (let at = 0; at < pcm.length; at += step) pieces.push(pcm.slice(at, at + step));
  return pieces;
}

function frameLevels(pcm: Int16Array, frame: number): number[] {
  const levels: number[] = [];
  for (let at = 0; at < pcm.length; at += frame) levels.push(rms(pcm.subarray(at, at + frame)));
  return levels;
}

const frameSamples = (rateHz: number): number => Math.round((rateHz * FRAME_MS) / 1000);

/** Removes silence at both ends; the result is empty when all of it is silent. */
export function trimSilence(pcm: Int16Array, rateHz: number): Int16Array {
  const frame = frameSamples(rateHz);
  const levels = frameLevels(pcm, frame);
  const threshold = Math.max(SILENCE_FLOOR, SILENCE_RATIO * Math.max(0, ...levels));
  const first = levels.findIndex((level) => level >= threshold);
  if (first < 0) return new Int16Array(0);
  const last = levels.findLastIndex((level) => level >= threshold);
  const margin = Math.round((rateHz * MARGIN_MS) / 1000);
  return pcm.slice(Math.max(0, first * frame - margin), (last + 1) * frame + margin);
}

/** Speech at about -20 dBFS without clipping: gain up to x8, never past 85 % of full scale. */
export function normaliseLoudness(pcm: Int16Array, targetRms = 0.1): Int16Array {
  const level = rms(pcm);
  if (level === 0) return pcm;
  let peak = 0;
  for (const sample of pcm) peak = Math.max(peak, Math.abs(sample));
  const gain = Math.min(8, targetRms / level, (0.85 * FULL_SCALE) / peak);
  return pcm.map((sample) => Math.round(sample * gain));
}

/**
 * Divides speech at its quietest moments, so that the pieces can be processed separately and joined with `joinAtPause`.
 * @returns the ends of the pieces, samples
 */
export function pauses(pcm: Int16Array, rateHz: number): number[] {
  const frame = frameSamples(rateHz);
  const levels = frameLevels(pcm, frame);
  const [shortest, longest] = [PIECE_MS.shortest / FRAME_MS, PIECE_MS.longest / FRAME_MS];
  const ends: number[] = [];
  let start = 0;
  while (levels.length - start > longest) {
    const candidates = levels.slice(start + shortest, start + longest);
    start += shortest + candidates.indexOf(Math.min(...candidates));
    ends.push(start * frame);
  }
  return [...ends, pcm.length];
}

export const joinOverlap = frameSamples;

/** Cross-fades `tail`, the overlap that the previous piece ended with, into the beginning of `piece`, in place. */
export function joinAtPause(tail: Int16Array, piece: Int16Array): void {
  for (let i = 0; i < Math.min(tail.length, piece.length); i++) {
    const weight = (i + 0.5) / tail.length;
    piece[i] = Math.round((tail[i] ?? 0) * (1 - weight) + (piece[i] ?? 0) * weight);
  }
}
