/** Converts -1..1 to signed 16 bit, rounded; values outside are clipped, NaN becomes 0. */
export function toPcm16(samples: Float32Array): Int16Array {
  const pcm = new Int16Array(samples.length);
  for (let i = 0; i < samples.length; i++) {
    pcm[i] = Math.min(32767, Math.max(-32768, Math.round((samples[i] ?? 0) * 32768)));
  }
  return pcm;
}

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
