import { SPEECH_RATE_HZ } from '@talkmesh/contracts';

/** A sine with two overtones, PCM16 at 24 kHz: similar enough to a voice to measure its pitch. */
export function tone(hz: number, ms: number, amplitude: number): Int16Array {
  const pcm = new Int16Array((SPEECH_RATE_HZ / 1000) * ms);
  for (let i = 0; i < pcm.length; i++) {
    const phase = (2 * Math.PI * hz * i) / SPEECH_RATE_HZ;
    pcm[i] = Math.round(amplitude * (0.7 * Math.sin(phase) + 0.2 * Math.sin(2 * phase) + 0.1 * Math.sin(3 * phase)));
  }
  return pcm;
}

/** Fundamental frequency by the autocorrelation's peak between 80 and 600 Hz, in the middle of the sound. */
export function fundamentalHz(pcm: Int16Array): number {
  const middle = pcm.subarray((pcm.length >> 1) - 2400, (pcm.length >> 1) + 2400);
  let best = { lag: 0, score: Number.NEGATIVE_INFINITY };
  for (let lag = Math.round(SPEECH_RATE_HZ / 600); lag <= SPEECH_RATE_HZ / 80; lag++) {
    let score = 0;
    for (let i = 0; i + 300 < middle.length; i++) score += (middle[i] ?? 0) * (middle[i + lag] ?? 0);
    if (score > best.score * 1.02) best = { lag, score };
  }
  return SPEECH_RATE_HZ / best.lag;
}
