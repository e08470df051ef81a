/**
 * Counter-based Gaussian noise (Philox4x32-10, Salmon et al. 2011, then Box-Muller). The numbers depend only on seed, chunk
 * and step, so every worker computes the same ones in any order, and a regenerated chunk gets the same noise.
 */
export class NoiseSource {
  readonly #key: readonly [number, number];

  /** @param seed integer, 0 to 2^53 - 1 */
  constructor(seed: number) {
    if (!Number.isSafeInteger(seed) || seed < 0)
      throw new RangeError(`a seed is an integer from 0 to 2^53-1, not ${seed}`);
    this.#key = [seed % 2 ** 32, Math.floor(seed / 2 ** 32)];
  }

  /** @param chunk -1 (the reference chunk) or more @returns `count` samples of the standard normal distribution */
  noise(chunk: number, step: number, count: number): Float32Array {
    const values = new Float32Array(count);
    for (let at = 0; at < count; at += 4) {
      const [a, b, c, d] = philox4x32([at / 4, chunk + 1, step, 0], this.#key);
      values.set([...boxMuller(a, b), ...boxMuller(c, d)].slice(0, count - at), at);
    }
    return values;
  }
}

type Block = readonly [number, number, number, number];

/** Ten rounds of Philox4x32. Words are unsigned 32-bit. */
export function philox4x32(counter: Block, key: readonly [number, number]): Block {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const [high0, low0] = multiply(0xd2511f53, c0);
    const [high1, low1] = multiply(0xcd9e8d57, c2);
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** High and low word of a 64-bit product. Splitting `b` into halves keeps every intermediate result below 2^53. */
function multiply(a: number, b: number): [high: number, low: number] {
  const upper = a * (b >>> 16);
  const lower = a * (b & 0xffff);
  const carried = (upper % 65536) * 65536 + lower;
  return [(Math.floor(upper / 65536) + Math.floor(carried / 2 ** 32)) >>> 0, carried % 2 ** 32];
}

function boxMuller(a: number, b: number): [number, number] {
  const radius = Math.sqrt(-2 * Math.log((a + 0.5) / 2 ** 32));
  const angle = (2 * Math.PI * (b + 0.5)) / 2 ** 32;
  return [radius * Math.cos(angle), radius * Math.sin(angle)];
}
