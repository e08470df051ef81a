import type { Ready } from './order.js';

/**
 * Time that the chosen chunk may take so that every other speaking session still gets its next chunk in time.
 * @param reservedMs time reserved for each of those chunks: the least that a chunk costs
 * @returns milliseconds; undefined when no other session with a deadline speaks
 */
export function sharedSlackMs<T extends Ready>(
  ready: readonly T[],
  chosen: T,
  nowMs: number,
  reservedMs: number,
): number | undefined {
  const slacks = ready
    .flatMap((other) => (other !== chosen && other.speaking && other.dueMs !== undefined ? [other.dueMs] : []))
    .sort((a, b) => a - b)
    .map((dueMs, i) => dueMs - nowMs - (i + 1) * reservedMs);
  return slacks.length === 0 ? undefined : Math.min(...slacks);
}
