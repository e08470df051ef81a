import { setTimeout as delay } from 'node:timers/promises';
import { nowUs } from '@talkmesh/inference';

/** Time is passed in, so that a scheduler can be tested on a virtual clock. */
export interface Clock {
  /** Monotonic, milliseconds. */
  nowMs(): number;
  /** Unix time, microseconds. */
  wallUs(): number;
  /** The machine's monotonic clock, microseconds: the time base of trace files, equal in all processes of a machine. */
  traceUs(): number;
  /** Resolves after `ms`, or when the signal is aborted. Infinity waits for the signal. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallUs: () => (performance.timeOrigin + performance.now()) * 1000,
  traceUs: nowUs,
  sleep: async (ms, signal) => {
    if (signal.aborted) return;
    const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    if (!Number.isFinite(ms)) await aborted;
    else await delay(ms, undefined, { signal }).catch(() => undefined);
  },
};
