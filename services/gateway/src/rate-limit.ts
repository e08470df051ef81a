import { MeshError } from '@talkmesh/contracts';

interface Bucket {
  tokens: number;
  atMs: number;
}

export interface RateLimitOptions {
  readonly perSecond: number;
  readonly burst: number;
  /** Callers whose bucket is kept; the least recently seen is dropped first. */
  readonly maxCallers?: number;
  readonly now?: () => number;
}

/** A token bucket per caller. */
export class RateLimit {
  readonly #buckets = new Map<string, Bucket>();
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #maxCallers: number;
  readonly #now: () => number;

  constructor(options: RateLimitOptions) {
    this.#perSecond = options.perSecond;
    this.#burst = options.burst;
    this.#maxCallers = options.maxCallers ?? 10_000;
    this.#now = options.now ?? (() => performance.now());
  }

  /** @throws MeshError RATE_LIMITED with the time to wait */
  take(caller: string): void {
    const nowMs = this.#now();
    const known = this.#buckets.get(caller);
    const refilled = known === undefined ? this.#burst : known.tokens + ((nowMs - known.atMs) * this.#perSecond) / 1000;
    const tokens = Math.min(this.#burst, refilled);
    this.#buckets.delete(caller);
    this.#buckets.set(caller, { tokens: tokens < 1 ? tokens : tokens - 1, atMs: nowMs });
    if (this.#buckets.size > this.#maxCallers) this.#buckets.delete(this.#buckets.keys().next().value as string);
    if (tokens < 1)
      throw new MeshError('RATE_LIMITED', 'too many requests; wait for the time in retryAfterMs and send fewer', {
        retryAfterMs: Math.ceil(((1 - tokens) * 1000) / this.#perSecond),
      });
  }
}
