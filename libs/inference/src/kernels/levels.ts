/** A square picture in levels of I420, not rounded. */
export interface Levels {
  /** [size, size] */
  readonly luma: Float32Array;
  /** U and V, [2, size / 2, size / 2]. */
  readonly chroma: Float32Array;
}

/** RGB [size, size, 3] -> BT.601 limited range, chroma the mean of 2x2 pixels. */
export function toLevels(rgb: Uint8Array, size: number): Levels {
  const luma = new Float32Array(size * size);
  const half = size / 2;
  const chroma = new Float32Array(2 * half * half);
  for (let y = 0; y < size; y++)
    for (let x = 0; x < size; x++) {
      const at = y * size + x;
      const [r, g, b] = [rgb[3 * at] as number, rgb[3 * at + 1] as number, rgb[3 * at + 2] as number];
      luma[at] = 16 + (65.481 * r + 128.553 * g + 24.966 * b) / 255;
      const small = (y >> 1) * half + (x >> 1);
      chroma[small] = (chroma[small] as number) + 32 + (-37.797 * r - 74.203 * g + 112 * b) / 1020;
      const v = half * half + small;
      chroma[v] = (chroma[v] as number) + 32 + (112 * r - 93.786 * g - 18.214 * b) / 1020;
    }
  return { luma, chroma };
}
