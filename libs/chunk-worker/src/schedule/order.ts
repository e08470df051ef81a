/** A chunk that could be worked on now. Times are milliseconds of one monotonic clock. */
export interface Ready {
  /** When it should be done; undefined: no deadline, as in a recording. */
  readonly dueMs: number | undefined;
  /** Whether it contains speech; an idle chunk does not. */
  readonly speaking: boolean;
  /** When its session was served last, or opened. */
  readonly servedAtMs: number;
}

export interface OrderOptions {
  /** A session without deadlines gets a chunk at least this often, milliseconds. */
  readonly clocklessEveryMs: number;
}

/** A session without deadlines gets at least one chunk in the duration of this many, and more when there is time. */
export const CLOCKLESS_EVERY_CHUNKS = 4;

const NEVER = Number.POSITIVE_INFINITY;

/**
 * Earliest deadline first, and speech before idle when not all chunks can be in time: an idle chunk waits until its deadline
 * (its ladder may then hold it, which costs nothing). The rank of a waiting chunk is fixed while the ranks of other sessions
 * grow with time, so no session starves; sessions without deadlines take turns.
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
  // A recording that is not due yet takes the time that live sessions leave.
  const next = first.dueMs === undefined && rank(first) > nowMs && clocked?.dueMs !== undefined ? clocked : first;
  if (speech === undefined || isUrgent(next) || !anyLate(urgent, nowMs + costMs, costMs)) return next;
  return rank(next) <= nowMs ? next : speech;
}

/** The chunk of the dearest session stands for all, so that none is late. */
export const largest = <T>(items: readonly T[], of: (item: T) => number): number => Math.max(0, ...items.map(of));

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
