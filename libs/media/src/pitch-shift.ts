import { fromPcm16, toPcm16 } from './pcm.js';
import { Resampler } from './resampler.js';

const FRAME_MS = 40;
const SEARCH_MS = 10;
/** Steps of the pitch ratio: 1/480, about 4 cents, keeps the resampler's filter bank small. */
const RATIO_STEPS = 480;

/**
 * Shifts the pitch without changing the duration: WSOLA time stretching (Verhelst and Roelands 1993), then resampling by the
 * same ratio.
 * @param pcm mono @param semitones -12..12, rounded to about 4 cents
 */
export function pitchShift(pcm: Int16Array, rateHz: number, semitones: number): Int16Array {
  const ratio = Math.round(2 ** (semitones / 12) * RATIO_STEPS) / RATIO_STEPS;
  if (ratio === 1 || pcm.length === 0) return pcm.slice();
  const stretched = stretch(fromPcm16(pcm), rateHz, ratio);
  const resampler = new Resampler(Math.round(ratio * RATIO_STEPS), RATIO_STEPS);
  const parts = [resampler.push(stretched), resampler.flush()];
  const shifted = new Float32Array(pcm.length);
  let at = 0;
  for (const part of parts) {
    shifted.set(part.subarray(0, pcm.length - at), at);
    at += Math.min(part.length, pcm.length - at);
  }
  return toPcm16(shifted);
}

/** Stretches audio to `factor` times its length at the same pitch. */
function stretch(input: Float32Array, rateHz: number, factor: number): Float32Array {
  const frame = 2 * Math.round((rateHz * FRAME_MS) / 2000);
  const hop = frame / 2;
  const search = Math.round((rateHz * SEARCH_MS) / 1000);
  const output = new Float32Array(Math.round(input.length * factor));
  let from = 0;
  for (let at = -hop; at < output.length; at += hop) {
    const ideal = Math.round((at + hop) / factor) - hop;
    if (at > -hop) from = bestOffset(input, from + hop, ideal, hop, search);
    else from = ideal;
    for (let i = 0; i < frame; i++) {
      const to = at + i;
      if (to < 0 || to >= output.length) continue;
      // Hann windows at half overlap sum to one.
      const window = 0.5 - 0.5 * Math.cos((2 * Math.PI * (i + 0.5)) / frame);
      output[to] = (output[to] ?? 0) + window * (input[from + i] ?? 0);
    }
  }
  return output;
}

/** Finds the position within `search` of `ideal` where the input is most similar to that at `natural`: a coarse, then a fine search. */
function bestOffset(input: Float32Array, natural: number, ideal: number, length: number, search: number): number {
  const score = (at: number, step: number): number => {
    let dot = 0;
    let energy = 1e-9;
    for (let i = 0; i < length; i += step) {
      const candidate = input[at + i] ?? 0;
      dot += candidate * (input[natural + i] ?? 0);
      energy += candidate * candidate;
    }
    return dot / Math.sqrt(energy);
  };
  const best = (first: number, last: number, lagStep: number, sampleStep: number): number => {
    let winner = first;
    let highest = Number.NEGATIVE_INFINITY;
    for (let at = first; at <= last; at += lagStep) {
      const value = score(at, sampleStep);
      if (value <= highest) continue;
      highest = value;
      winner = at;
    }
    return winner;
  };
  const coarse = best(ideal - search, ideal + search, 4, 4);
  return best(coarse - 4, coarse + 4, 1, 2);
}
