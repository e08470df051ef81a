/** A sine at half of full scale that starts at sample `from`. */
export function sine(rateHz: number, samples: number, hz: number, from = 0): Int16Array {
  return Int16Array.from({ length: samples }, (_, i) =>
    Math.round(16_384 * Math.sin((2 * Math.PI * hz * (from + i)) / rateHz)),
  );
}

/** Fraction of the signal's energy at one frequency, 0..1 (a single DFT bin). */
export function goertzel(pcm: Int16Array, rateHz: number, hz: number): number {
  let [real, imaginary, energy] = [0, 0, 0];
  pcm.forEach((sample, i) => {
    const phase = (2 * Math.PI * hz * i) / rateHz;
    real += sample * Math.cos(phase);
    imaginary += sample * Math.sin(phase);
    energy += sample * sample;
  });
  return energy === 0 ? 0 : (2 * (real * real + imaginary * imaginary)) / (energy * pcm.length);
}
