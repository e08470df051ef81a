/** Noise levels of flow matching: x = (1 - level) * latents + level * noise. */

/**
 * Levels at the start of each step, from 1 down to, but without, 0: equal distances, shifted towards noise as Wan's schedulers do it
 * (GAIR-NLP/LiveTalk, utils/Omniavatarpatch/flow_match.py with `extra_one_step`).
 * @param shift 1 keeps equal distances
 */
export function shiftedLevels(steps: number, shift: number): number[] {
  if (!Number.isSafeInteger(steps) || steps < 1 || !(shift > 0))
    throw new RangeError(
      `a schedule has at least one step and a positive shift, not ${steps} steps and shift ${shift}`,
    );
  return Array.from({ length: steps }, (_, step) => {
    const level = 1 - step / steps;
    return (shift * level) / (1 + (shift - 1) * level);
  });
}

/** Latents that a velocity at a noise level points to. */
export function finished(x: Float32Array, velocity: Float32Array, level: number): Float32Array {
  return x.map((value, i) => value - level * (velocity[i] as number));
}

/** Latents with fresh noise at a level: the few-step update of distilled models, which goes back to finished latents at every step. */
export function noised(latents: Float32Array, noise: Float32Array, level: number): Float32Array {
  return latents.map((value, i) => (1 - level) * value + level * (noise[i] as number));
}
