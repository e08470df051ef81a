import { ChunkCost } from './cost.js';

const WARM_UP_CHUNKS = 5;

/**
 * Runs the model before the first session, because the first runs allocate memory and are slow.
 * @param make processes one chunk of a session that is not published
 * @returns the median of the chunks after the first, milliseconds
 */
export async function warmUp(make: (chunk: number) => Promise<unknown>): Promise<number> {
  await make(0);
  const cost = new ChunkCost(0);
  for (let chunk = 1; chunk <= WARM_UP_CHUNKS; chunk++) {
    const startMs = performance.now();
    await make(chunk);
    cost.add(performance.now() - startMs);
  }
  return Math.round(cost.ms * 10) / 10;
}
