import type { Executor, Segment } from '../executor/executor.js';

/**
 * Runs a net whose only input is `image` and downloads its outputs. Nothing stays on the device.
 * @param pixels [1, size, size, 3] values @param names outputs to download, in the order of the result
 */
export async function runNet(
  executor: Executor,
  net: Segment,
  pixels: Float32Array,
  size: number,
  names: readonly string[],
): Promise<Float32Array[]> {
  const image = executor.upload(pixels, 'float32', [1, size, size, 3]);
  const handles = await executor.run(net, { inputs: { image }, outputs: names }).finally(() => executor.release(image));
  try {
    const values = names.map((name) => executor.download(handles[name] as NonNullable<(typeof handles)[string]>));
    return (await Promise.all(values)) as Float32Array[];
  } finally {
    executor.release(...Object.values(handles));
  }
}
