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
    const [k0, k1] = this.#key;
    const words = new Uint32Array(4);
    for (let at = 0; at < count; at += 4) {
      words[0] = at / 4;
      words[1] = chunk + 1;
      words[2] = step;
      words[3] = 0;
      philox(words, k0, k1);
      // What is written beyond the end of a typed array is lost.
      for (let pair = 0; pair < 4; pair += 2) {
        const radius = Math.sqrt(-2 * Math.log(((words[pair] as number) + 0.5) / 2 ** 32));
        const angle = (2 * Math.PI * ((words[pair + 1] as number) + 0.5)) / 2 ** 32;
        values[at + pair] = radius * Math.cos(angle);
        values[at + pair + 1] = radius * Math.sin(angle);
      }
    }
    return values;
  }
}

type Block = readonly [number, number, number, number];

/** Ten rounds of Philox4x32. Words are unsigned 32-bit. */
export function philox4x32(counter: Block, key: readonly [number, number]): Block {
  const words = Uint32Array.from(counter);
  philox(words, ...key);
  return [...words] as unknown as Block;
}

/** In place and without other arrays: a chunk of a video model takes a million numbers. */
function philox(words: Uint32Array, k0: number, k1: number): void {
  let [c0 = 0, c1 = 0, c2 = 0, c3 = 0] = words;
  for (let round = 0; round < 10; round++) {
    const [low0, low1] = [Math.imul(0xd2511f53, c0), Math.imul(0xcd9e8d57, c2)];
    const mixed0 = highWord(0xcd9e, 0x8d57, c2) ^ c1 ^ k0;
    c2 = highWord(0xd251, 0x1f53, c0) ^ c3 ^ k1;
    c0 = mixed0;
    c1 = low1;
    c3 = low0;
    k0 = (k0 + 0x9e3779b9) | 0;
    k1 = (k1 + 0xbb67ae85) | 0;
  }
  words[0] = c0;
  words[1] = c1;
  words[2] = c2;
  words[3] = c3;
}

/** The upper word of a 64-bit product, from halves: `above` and `below` are those of one factor. */
function highWord(above: number, below: number, other: number): number {
  const [upper, lower] = [other >>> 16, other & 0xffff];
  const [cross, back] = [above * lower, below * upper];
  const middle = ((below * lower) >>> 16) + (cross & 0xffff) + (back & 0xffff);
  return above * upper + (cross >>> 16) + (back >>> 16) + (middle >>> 16);
}
