import { RIG_NUMBERS } from './face-shapes.js';

/** Matrices that read rig numbers from latents: the first step of the decoder graph, see `rig_matrices.py`. */
export interface RigMatrices {
  /** [L, frames * 15] and [frames * 15], L values of a latent frame, `frames` its video frames. */
  readonly plain: Float32Array;
  readonly plainBias: Float32Array;
  /** [2 L, frames * 15] and [frames * 15]: what the latent frame before adds. */
  readonly border: Float32Array;
  readonly borderBias: Float32Array;
  /** [15] legal ranges. */
  readonly low: Float32Array;
  readonly high: Float32Array;
}

/** Their tensors in the decoder's file. */
export const RIG_MATRICES: Readonly<Record<keyof RigMatrices, string>> = {
  plain: 'plain',
  plainBias: 'plain_bias',
  border: 'border',
  borderBias: 'border_bias',
  low: 'low',
  high: 'high',
};

/**
 * @param latent [n, L] latent frames @param state [L + H * W]: the latent frame before, and ones once there is one
 * @returns [n * frames, 15] rig numbers
 */
export function rigRows(latent: Float32Array, state: Float32Array, matrices: RigMatrices): Float32Array {
  const columns = matrices.plainBias.length;
  const values = matrices.plain.length / columns;
  const count = latent.length / values;
  const rows = new Float32Array(count * columns);
  for (let n = 0; n < count; n++) {
    const now = latent.subarray(n * values, (n + 1) * values);
    const before = n === 0 ? state.subarray(0, values) : latent.subarray((n - 1) * values, n * values);
    const known = n === 0 ? (state[values] as number) : 1;
    for (let c = 0; c < columns; c++) {
      let plain = matrices.plainBias[c] as number;
      let border = matrices.borderBias[c] as number;
      for (let i = 0; i < values; i++) {
        plain += (now[i] as number) * (matrices.plain[i * columns + c] as number);
        border += (before[i] as number) * (matrices.border[i * columns + c] as number);
        border += (now[i] as number) * (matrices.border[(values + i) * columns + c] as number);
      }
      const number = c % RIG_NUMBERS;
      const value = plain + known * border;
      rows[n * columns + c] = Math.min(
        Math.max(value, matrices.low[number] as number),
        matrices.high[number] as number,
      );
    }
  }
  return rows;
}
