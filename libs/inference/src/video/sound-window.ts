import { Resampler } from '@talkmesh/media';
import { type SoundWindow, soundValues, type Wav2Vec2Sizes } from '../compile/index.js';

/** How sound is cut for a model whose first latent is one frame and each later one is `framesPerLatent`. */
export interface SoundRule {
  readonly latentFrames: number;
  readonly framesPerLatent: number;
  readonly samplesPerFrame: number;
  /** At the rate of the encoder. */
  readonly encoderSamplesPerFrame: number;
  /** Frames that the encoder sees at once, the chunk's own included. The published code sees the whole clip; a stream cannot. */
  readonly windowFrames: number;
}

/** Video frames of a chunk. */
export function framesOf(rule: SoundRule, chunk: number): number {
  return rule.latentFrames * rule.framesPerLatent - (chunk === 0 ? rule.framesPerLatent - 1 : 0);
}

export function encoderWindow(rule: SoundRule): SoundWindow {
  const { windowFrames: frames, encoderSamplesPerFrame } = rule;
  return { samples: frames * encoderSamplesPerFrame, frames, kept: rule.latentFrames * rule.framesPerLatent };
}

/**
 * The window that ends with a chunk: silence where the session had not begun yet.
 * @param before the window of the chunk before it; undefined for the first chunk @param pcm the chunk's samples, -1..1
 * @throws RangeError when the chunk has another number of samples
 */
export function nextWindow(
  rule: SoundRule,
  chunk: number,
  before: Float32Array | undefined,
  pcm: Float32Array,
): Float32Array {
  const wanted = framesOf(rule, chunk) * rule.samplesPerFrame;
  if (pcm.length !== wanted) throw new RangeError(`chunk ${chunk} has ${pcm.length} samples, not ${wanted}`);
  const window = new Float32Array(rule.windowFrames * rule.samplesPerFrame);
  if (before !== undefined) window.set(before.subarray(pcm.length));
  window.set(pcm, window.length - pcm.length);
  return window;
}

/**
 * The hidden states of a chunk's frames as the transformer takes them, [latentFrames, framesPerLatent * values] flat. The first chunk has fewer
 * frames than places; its first frame fills the others, as in the published code.
 * @param hidden of the last latentFrames * framesPerLatent frames of the window, [frames, values] flat
 */
export function chunkSound(rule: SoundRule, sizes: Wav2Vec2Sizes, chunk: number, hidden: Float32Array): Float32Array {
  const values = soundValues(sizes);
  const missing = rule.latentFrames * rule.framesPerLatent - framesOf(rule, chunk);
  if (missing === 0) return hidden;
  const filled = hidden.slice();
  const first = hidden.subarray(missing * values, (missing + 1) * values);
  for (let frame = 0; frame < missing; frame++) filled.set(first, frame * values);
  return filled;
}

/**
 * A window at the rate of the encoder. Each window is resampled as a whole, so that it depends on nothing before it.
 * @param window of `windowFrames` frames
 */
export function atEncoderRate(
  { samplesPerFrame, encoderSamplesPerFrame }: SoundRule,
  window: Float32Array,
): Float32Array {
  const resampler = new Resampler(samplesPerFrame, encoderSamplesPerFrame);
  const [begin, end] = [resampler.push(window), resampler.flush()];
  const samples = new Float32Array(begin.length + end.length);
  samples.set(begin);
  samples.set(end, begin.length);
  return samples;
}
