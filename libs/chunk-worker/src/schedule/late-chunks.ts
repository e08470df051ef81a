/** A chunk that two workers in series are expected to process. Times are milliseconds of one monotonic clock. */
export interface ExpectedChunk {
  /** When it is to be played; undefined when it has no deadline, as in a recording. */
  readonly dueMs: number | undefined;
  /** Chunks are processed in the order of this time. It is `dueMs` where there is one, else the time by which the session is owed a chunk. */
  readonly rankMs: number;
}

/** Load of a worker that processes chunks one after the other. */
export interface WorkerLoad {
  /** When it can start the next chunk. */
  readonly freeAtMs: number;
  /** Time from the start of one chunk to the start of the next. */
  readonly costMs: number;
}

/**
 * Counts the chunks that will be late when two workers in series process them. The caller compares the counts with and without
 * additional chunks, to decide whether these may be generated.
 * @param latencyMs from the moment the second worker starts a chunk until the chunk can be played
 */
export function countLate(
  chunks: readonly ExpectedChunk[],
  first: WorkerLoad,
  second: WorkerLoad,
  latencyMs: number,
): number {
  let firstDoneMs = first.freeAtMs;
  let secondFreeMs = second.freeAtMs;
  let late = 0;
  for (const { dueMs } of [...chunks].sort((a, b) => a.rankMs - b.rankMs)) {
    firstDoneMs += first.costMs;
    const secondStartMs = Math.max(firstDoneMs, secondFreeMs);
    secondFreeMs = secondStartMs + second.costMs;
    if (dueMs !== undefined && secondStartMs + latencyMs > dueMs) late += 1;
  }
  return late;
}
