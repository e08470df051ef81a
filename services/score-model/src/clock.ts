import type { Clock as BaseClock } from '@talkmesh/inference';

export interface Clock extends BaseClock {
  /** Resolves after `ms`, or when the signal is aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}
