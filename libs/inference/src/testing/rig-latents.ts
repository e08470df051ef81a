/** Latents of wanted rig numbers, and pictures of decoded frames, for tests of decoders. */

/**
 * The latents nearest to rig rows: the least-norm solution for each latent frame.
 * @param matrix of the decoder's first step, [L, rows * numbers] and its bias @param rig rows of rig numbers, a multiple of 4 @returns [n, L]
 */
export function rigLatents(
  { plain, bias }: { readonly plain: Float32Array; readonly bias: Float32Array },
  rig: readonly Float32Array[],
): Float32Array {
  const columns = bias.length;
  const size = plain.length / columns;
  const flat = rig.flatMap((row) => [...row]);
  const count = flat.length / columns;
  const at = (i: number, c: number): number => plain[i * columns + c] as number;
  const latents: number[] = [];
  for (let n = 0; n < count; n++) {
    const wanted = flat.slice(n * columns, (n + 1) * columns).map((value, c) => value - (bias[c] as number));
    const rows = Array.from({ length: size }, (_, i) => {
      const products = Array.from({ length: size }, (_, j) => {
        let sum = i === j ? 1e-6 : 0;
        for (let c = 0; c < columns; c++) sum += at(i, c) * at(j, c);
        return sum;
      });
      return [...products, wanted.reduce((sum, value, c) => sum + value * at(i, c), 0)];
    });
    latents.push(...solve(rows));
  }
  return Float32Array.from(latents);
}

/** Gaussian elimination of [n, n + 1] rows of a positive definite system. */
function solve(rows: number[][]): number[] {
  const size = rows.length;
  for (let i = 0; i < size; i++) {
    const pivot = rows[i] as number[];
    for (let j = 0; j < size; j++) {
      const row = rows[j] as number[];
      if (i === j) continue;
      const share = (row[i] as number) / (pivot[i] as number);
      for (let c = i; c <= size; c++) row[c] = (row[c] as number) - share * (pivot[c] as number);
    }
  }
  return rows.map((row, i) => (row[size] as number) / (row[i] as number));
}

/** I420 of BT.601 limited range -> [height, width, 3] RGB bytes. */
export function rgbOf(i420: Uint8Array, width: number, height: number): Uint8Array {
  const rgb = new Uint8ClampedArray(width * height * 3);
  const area = width * height;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const luma = 1.164 * ((i420[y * width + x] as number) - 16);
      const small = (y >> 1) * (width / 2) + (x >> 1);
      const [u, v] = [(i420[area + small] as number) - 128, (i420[(area * 5) / 4 + small] as number) - 128];
      const at = (y * width + x) * 3;
      rgb[at] = luma + 1.596 * v;
      rgb[at + 1] = luma - 0.392 * u - 0.813 * v;
      rgb[at + 2] = luma + 2.017 * u;
    }
  return new Uint8Array(rgb.buffer);
}
