import { bytesOf, type Delivery } from './delivery.js';

/** How much may wait; what is more is dropped as it comes. */
export interface WebhookLimits {
  /** Of one session to one receiver. */
  readonly perSession: number;
  readonly perEndpoint: number;
  readonly bytesPerEndpoint: number;
  /** Of all receivers together. */
  readonly bytes: number;
}

export const DEFAULT_LIMITS: WebhookLimits = {
  perSession: 256,
  perEndpoint: 5_000,
  bytesPerEndpoint: 4 * 2 ** 20,
  bytes: 32 * 2 ** 20,
};

/** Why a delivery is dropped. */
export const DROP_REASONS = ['count', 'bytes', 'age', 'removed', 'unknown-session'] as const;
export type DropReason = (typeof DROP_REASONS)[number];

type Sized = Pick<Delivery, 'endpoint' | 'sessionId' | 'body'>;

/** Counts what waits. */
export class Bounds {
  readonly #limits: WebhookLimits;
  readonly #sessions = new Map<string, number>();
  readonly #endpoints = new Map<string, { count: number; bytes: number }>();
  #bytes = 0;
  #count = 0;

  constructor(limits: WebhookLimits) {
    this.#limits = limits;
  }

  /** Number of deliveries that were added and not removed. */
  get count(): number {
    return this.#count;
  }

  /** Whether something waits for this receiver. */
  has(endpoint: string): boolean {
    return this.#endpoints.has(endpoint);
  }

  /** @returns why one more cannot wait; undefined: it can */
  refusal(delivery: Sized): Extract<DropReason, 'count' | 'bytes'> | undefined {
    const { perSession, perEndpoint, bytesPerEndpoint, bytes } = this.#limits;
    const own = this.#endpoints.get(delivery.endpoint) ?? { count: 0, bytes: 0 };
    const size = bytesOf(delivery);
    if ((this.#sessions.get(queueOf(delivery)) ?? 0) >= perSession || own.count >= perEndpoint) return 'count';
    return own.bytes + size > bytesPerEndpoint || this.#bytes + size > bytes ? 'bytes' : undefined;
  }

  add(delivery: Sized): void {
    this.#change(delivery, 1);
  }

  remove(delivery: Sized): void {
    this.#change(delivery, -1);
  }

  #change(delivery: Sized, by: 1 | -1): void {
    const { endpoint } = delivery;
    const queue = queueOf(delivery);
    const size = by * bytesOf(delivery);
    const own = this.#endpoints.get(endpoint) ?? { count: 0, bytes: 0 };
    const next = { count: own.count + by, bytes: own.bytes + size };
    if (next.count === 0) this.#endpoints.delete(endpoint);
    else this.#endpoints.set(endpoint, next);
    const left = (this.#sessions.get(queue) ?? 0) + by;
    if (left === 0) this.#sessions.delete(queue);
    else this.#sessions.set(queue, left);
    this.#bytes += size;
    this.#count += by;
  }
}

/** Deliveries with the same name are sent in order. */
export const queueOf = ({ endpoint, sessionId }: Pick<Delivery, 'endpoint' | 'sessionId'>): string =>
  `${endpoint} ${sessionId}`;
