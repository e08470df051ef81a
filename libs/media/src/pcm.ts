import { MeshError } from '@talkmesh/contracts';

/** Averages channels of equal length into one, -1..1 stays -1..1. */
export function mixDown(channels: readonly Float32Array[]): Float32Array {
  const first = channels[0];
  if (first === undefined) return new Float32Array(0);
  if (channels.length === 1) return first.slice();
  if (channels.some((channel) => channel.length !== first.length))
    throw new MeshError('AUDIO_FORMAT_INVALID', 'channels must have the same number of samples');
  const mono = new Float32Array(first.length);
  for (const channel of channels) for (let i = 0; i < mono.length; i++) mono[i] = (mono[i] ?? 0) + (channel[i] ?? 0);
  for (let i = 0; i < mono.length; i++) mono[i] = (mono[i] ?? 0) / channels.length;
  return mono;
}

/** -1..1 to signed 16 bit, rounded; values outside are clipped, NaN becomes 0. */
export function toPcm16(samples: Float32Array): Int16Array {
  const pcm = new Int16Array(samples.length);
  for (let i = 0; i < samples.length; i++) {
    pcm[i] = Math.min(32767, Math.max(-32768, Math.round((samples[i] ?? 0) * 32768)));
  }
  return pcm;
}

/** Signed 16 bit to -1..1. */
export function fromPcm16(pcm: Int16Array): Float32Array {
  const samples = new Float32Array(pcm.length);
  for (let i = 0; i < pcm.length; i++) samples[i] = (pcm[i] ?? 0) / 32768;
  return samples;
}

/** Root mean square level, 0..1 of full scale; 0 for no samples. */
export function rms(pcm: Int16Array | Float32Array): number {
  if (pcm.length === 0) return 0;
  let sum = 0;
  for (const sample of pcm) sum += sample * sample;
  return Math.sqrt(sum / pcm.length) / (pcm instanceof Int16Array ? 32768 : 1);
}
