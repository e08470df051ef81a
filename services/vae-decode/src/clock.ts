/** Time, from outside: so that a stage can be tested without waiting. */
export interface Clock {
  /** Monotonic, milliseconds. */
  nowMs(): number;
  /** Unix time, microseconds. */
  wallUs(): number;
}
