/** A chunk that could be worked on now. Times are milliseconds of one monotonic clock. */
export interface Ready {
  /** When it should be done; undefined: never by a given time, as in a recording. */
  readonly dueMs: number | undefined;
  /** Somebody is heard in it; the others only breathe and blink. */
  readonly speaking: boolean;
  /** When its session was served last, or opened. */
  readonly servedAtMs: number;
}

export interface OrderOptions {
  /** A session without a clock is owed a chunk this often, whatever the others want, milliseconds. */
  readonly clocklessEveryMs: number;
}

/** A session without a clock is owed one chunk in the time of so many; what is left over comes on top. */
export const CLOCKLESS_EVERY_CHUNKS = 4;

const NEVER = Number.POSITIVE_INFINITY;

/**
 * Earliest deadline first, and speech before idle where not everything can be in time: an idle chunk gives way until its
 * own time has come (then its ladder may hold it, which costs nothing). Every chunk's rank is a fixed moment, and the ranks
 * of all others move on with time, so nobody waits forever; sessions without a clock take turns.
 * @param costMs of one chunk
 */
export function pickNext<T extends Ready>(
  ready: readonly T[],
  nowMs: number,
  costMs: number,
  options: OrderOptions,
): T | undefined {
  const rank = (candidate: T): number => candidate.dueMs ?? candidate.servedAtMs + options.clocklessEveryMs;
  const first = earliest(ready, rank);
  if (first === undefined || isUrgent(first)) return first;
  const urgent = ready.filter(isUrgent);
  const [speech] = urgent.sort((a, b) => rank(a) - rank(b));
  const clocked = earliest(ready, (candidate) => candidate.dueMs ?? NEVER);
  // A recording that is not owed anything yet takes what the calls leave.
  const next = first.dueMs === undefined && rank(first) > nowMs && clocked?.dueMs !== undefined ? clocked : first;
  if (speech === undefined || isUrgent(next) || !anyLate(urgent, nowMs + costMs, costMs)) return next;
  return rank(next) <= nowMs ? next : speech;
}

const isUrgent = ({ speaking, dueMs }: Ready): boolean => speaking && dueMs !== undefined;

/** Whether chunks served one after the other from `startMs` on, the earliest first, miss a deadline. */
export function anyLate(inOrder: readonly Ready[], startMs: number, costMs: number): boolean {
  return inOrder.some(({ dueMs = NEVER }, i) => startMs + (i + 1) * costMs > dueMs);
}

function earliest<T>(candidates: readonly T[], rank: (candidate: T) => number): T | undefined {
  let best: T | undefined;
  for (const candidate of candidates) if (best === undefined || rank(candidate) < rank(best)) best = candidate;
  return best;
}
