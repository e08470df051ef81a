/** A chunk that is wanted soon. Times are milliseconds of one monotonic clock. */
export interface Wanted {
  /** When it is to be played; undefined: never by a given time, as in a recording. */
  readonly dueMs: number | undefined;
  /** Its place in the order of work. */
  readonly rankMs: number;
}

/** A worker that takes chunks one after the other. */
export interface Line {
  /** When it is free for the next one. */
  readonly freeAtMs: number;
  /** Time between two of its chunks. */
  readonly costMs: number;
}

/**
 * How many chunks are late that a worker makes in the order of their ranks and the worker behind it takes over in the same order.
 * @param latencyMs from a chunk's end on the first worker to its player, when nobody else is in its way
 */
export function countLate(wanted: readonly Wanted[], first: Line, behind: Line, latencyMs: number): number {
  let [madeMs, outMs, late] = [first.freeAtMs, behind.freeAtMs, 0];
  for (const { dueMs } of [...wanted].sort((a, b) => a.rankMs - b.rankMs)) {
    madeMs += first.costMs;
    outMs = Math.max(outMs, madeMs) + behind.costMs;
    if (dueMs !== undefined && outMs - behind.costMs + latencyMs > dueMs) late += 1;
  }
  return late;
}
