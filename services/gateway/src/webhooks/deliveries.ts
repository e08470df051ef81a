import { MeshError } from '@talkmesh/contracts';
import type { Logger } from '@talkmesh/service-kit';
import { Semaphore } from '../semaphore.js';

export interface Delivery {
  readonly id: string;
  /** Deliveries of one session go to one address in order. */
  readonly queue: string;
  readonly attempt: () => Promise<number>;
}

export type Outcome = 'delivered' | 'refused' | 'given-up' | 'dropped';

export interface DeliveriesOptions {
  readonly log: Logger;
  readonly onOutcome: (outcome: Outcome) => void;
  /** Pauses before each repetition, milliseconds. */
  readonly retryMs?: readonly number[];
}

/** Together about ten minutes, as a receiver needs for a restart. */
const RETRY_MS = [1_000, 5_000, 20_000, 60_000, 180_000, 300_000];
const MAX_PER_QUEUE = 256;
const MAX_TOTAL = 10_000;
const PARALLEL = 32;

/** Answers after which a repetition cannot help. */
const isFinal = (status: number): boolean => status >= 400 && status < 500 && ![408, 409, 425, 429].includes(status);

/** Sends what is queued, each queue in order, and repeats what failed. In memory: what a gateway has not delivered when it dies is lost. */
export class Deliveries {
  readonly #options: DeliveriesOptions;
  readonly #queues = new Map<string, Delivery[]>();
  readonly #semaphore = new Semaphore(PARALLEL);
  readonly #stopped = new AbortController();
  #total = 0;

  constructor(options: DeliveriesOptions) {
    this.#options = options;
  }

  add(delivery: Delivery): void {
    const waiting = this.#queues.get(delivery.queue);
    if (this.#stopped.signal.aborted || this.#total >= MAX_TOTAL || (waiting?.length ?? 0) >= MAX_PER_QUEUE) {
      this.#options.onOutcome('dropped');
      this.#options.log.warn({ webhook: delivery.id }, 'a webhook was dropped, because too many wait');
      return;
    }
    this.#total += 1;
    if (waiting !== undefined) {
      waiting.push(delivery);
      return;
    }
    this.#queues.set(delivery.queue, [delivery]);
    void this.#drain(delivery.queue);
  }

  /** Ends all repetitions. */
  stop(): void {
    this.#stopped.abort();
  }

  async #drain(name: string): Promise<void> {
    const queue = this.#queues.get(name) ?? [];
    for (let next = queue[0]; next !== undefined; next = queue[0]) {
      this.#options.onOutcome(await this.#deliver(next));
      queue.shift();
      this.#total -= 1;
    }
    this.#queues.delete(name);
  }

  async #deliver({ id, attempt }: Delivery): Promise<Outcome> {
    const { log, retryMs = RETRY_MS } = this.#options;
    for (let repetition = 0; ; repetition++) {
      const result = await this.#semaphore.run(attempt).catch((thrown: unknown) => MeshError.from(thrown));
      if (typeof result === 'number' && result >= 200 && result < 300) return 'delivered';
      const why = typeof result === 'number' ? `status ${result}` : result.message;
      if (typeof result === 'number' ? isFinal(result) : result.reason === 'PERMISSION_DENIED') {
        log.warn({ webhook: id, why }, 'a webhook was refused and is not repeated');
        return 'refused';
      }
      const pauseMs = retryMs[repetition];
      if (pauseMs === undefined || this.#stopped.signal.aborted) {
        log.warn({ webhook: id, why, attempts: repetition + 1 }, 'a webhook was given up');
        return 'given-up';
      }
      await this.#pause(pauseMs * (0.8 + 0.4 * Math.random()));
    }
  }

  #pause(ms: number): Promise<void> {
    const { signal } = this.#stopped;
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      timer.unref();
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }
}
