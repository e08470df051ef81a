/** Time, from outside: so that a stage can be tested without waiting. */
export interface Clock {
  /** Monotonic, milliseconds. */
  nowMs(): number;
  /** Unix time, microseconds. */
  wallUs(): number;
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallUs: () => (performance.timeOrigin + performance.now()) * 1000,
};
