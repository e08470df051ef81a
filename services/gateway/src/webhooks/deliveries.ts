import { MeshError } from '@talkmesh/contracts';
import { type Logger, waitAtMost } from '@talkmesh/service-kit';
import { Semaphore } from '../semaphore.js';
import { Bounds, type DropReason, queueOf, type WebhookLimits } from './bounds.js';
import { type Delivery, steadyNowMs } from './delivery.js';

export const OUTCOMES = ['delivered', 'refused', 'given-up', 'dropped'] as const;
export type Outcome = (typeof OUTCOMES)[number];

export interface DeliveriesOptions {
  readonly log: Logger;
  readonly limits: WebhookLimits;
  /** Pauses before each repetition, milliseconds. */
  readonly retryMs: readonly number[];
  /** What was accepted longer ago than this is dropped instead of sent, milliseconds. */
  readonly maxAgeMs: number;
  /** Sends it. @returns the status of the answer @throws MeshError PERMISSION_DENIED: a repetition cannot help */
  readonly attempt: (delivery: Delivery, signal: AbortSignal) => Promise<number>;
  /** Whether an attempt may be made now; otherwise it waits. */
  readonly mayAttempt: (delivery: Delivery) => boolean;
  /** An attempt failed, and this is what waits now. */
  readonly onRepeat: (delivery: Delivery) => void;
  readonly onOver: (delivery: Delivery, outcome: Outcome, reason?: DropReason) => void;
}

/** Together about ten minutes, as a receiver needs for a restart. */
export const RETRY_MS: readonly number[] = [1_000, 5_000, 20_000, 60_000, 180_000, 300_000];
/** Requests under way to one receiver, so that one that does not answer keeps none from others. */
const PARALLEL = 16;
const NOT_NOW_MS = 1_000;

/** Answers after which a repetition cannot help. */
const isFinal = (status: number): boolean => status >= 400 && status < 500 && ![408, 409, 425, 429].includes(status);

interface Queue {
  readonly waiting: Delivery[];
  readonly abort: AbortController;
}

/** Sends what waits, that of one session to one receiver in order, and repeats what failed. */
export class Deliveries {
  readonly #options: DeliveriesOptions;
  readonly #bounds: Bounds;
  readonly #queues = new Map<string, Queue>();
  readonly #known = new Set<string>();
  readonly #semaphores = new Map<string, Semaphore>();
  readonly #running = new Set<Promise<unknown>>();
  #isStopping = false;

  constructor(options: DeliveriesOptions) {
    this.#options = options;
    this.#bounds = new Bounds(options.limits);
  }

  get count(): number {
    return this.#bounds.count;
  }

  /** Ids of the receivers that something waits for. */
  get endpoints(): string[] {
    return [...this.#semaphores.keys()];
  }

  has(delivery: Delivery): boolean {
    return this.#known.has(nameOf(delivery));
  }

  /** @returns why one more cannot wait; undefined: it can */
  refusal(delivery: Delivery): DropReason | undefined {
    return this.#bounds.refusal(delivery);
  }

  /** Makes room for one that is being written; `send` or `release` follows. */
  reserve(delivery: Delivery): void {
    this.#bounds.add(delivery);
    this.#known.add(nameOf(delivery));
  }

  release(delivery: Delivery): void {
    this.#bounds.remove(delivery);
    this.#known.delete(nameOf(delivery));
  }

  /** Sends what was reserved, after those of its session that came before. */
  send(delivery: Delivery): void {
    const { endpoint } = delivery;
    if (!this.#semaphores.has(endpoint)) this.#semaphores.set(endpoint, new Semaphore(PARALLEL));
    const name = queueOf(delivery);
    const queue = this.#queues.get(name);
    if (queue !== undefined) {
      queue.waiting.push(delivery);
      return;
    }
    const first = { waiting: [delivery], abort: new AbortController() };
    this.#queues.set(name, first);
    void this.#drain(name, first);
  }

  /** Drops everything that waits for a receiver. */
  drop(endpoint: string, reason: DropReason): void {
    for (const [name, queue] of this.#queues) {
      if (queue.waiting[0]?.endpoint !== endpoint) continue;
      queue.abort.abort();
      this.#queues.delete(name);
      for (const delivery of queue.waiting) this.#over(delivery, 'dropped', reason);
    }
  }

  /** Begins no further attempt, and waits for those under way, but no longer than this. */
  async finish(limitMs: number): Promise<void> {
    this.#isStopping = true;
    await waitAtMost(Promise.allSettled([...this.#running]), limitMs);
  }

  /** Ends everything at once. @returns what waits */
  stop(): Delivery[] {
    this.#isStopping = true;
    for (const { abort } of this.#queues.values()) abort.abort();
    return [...this.#queues.values()].flatMap(({ waiting }) => waiting);
  }

  async #drain(name: string, queue: Queue): Promise<void> {
    for (let next = queue.waiting[0]; next !== undefined; next = queue.waiting[0]) {
      const ended = await this.#deliver(next, queue);
      if (ended === undefined || queue.abort.signal.aborted) return;
      queue.waiting.shift();
      if (queue.waiting.length === 0) this.#queues.delete(name);
      this.#over(...ended);
    }
  }

  /** @returns undefined when the queue was ended */
  async #deliver(first: Delivery, queue: Queue): Promise<[Delivery, Outcome, DropReason?] | undefined> {
    const { log, retryMs, maxAgeMs, onRepeat } = this.#options;
    const { signal } = queue.abort;
    let delivery = first;
    for (;;) {
      // Clocks of gateways differ: no pause is longer than the schedule has it.
      const longestMs = delivery.attempts === 0 ? 0 : 1.2 * (retryMs[delivery.attempts - 1] ?? 0);
      await pause(Math.min(longestMs, delivery.dueAtMs - steadyNowMs()), signal);
      if (signal.aborted) return undefined;
      const webhook = delivery.id;
      if (steadyNowMs() - delivery.acceptedAtMs > maxAgeMs) {
        log.warn({ webhook }, 'a webhook was dropped, because it has waited for too long');
        return [delivery, 'dropped', 'age'];
      }
      const result = await this.#attempt(delivery, signal);
      if (signal.aborted) return undefined;
      if (result === 'not-now') {
        await pause(NOT_NOW_MS, signal);
        continue;
      }
      if (typeof result === 'number' && result >= 200 && result < 300) return [delivery, 'delivered'];
      const why = typeof result === 'number' ? `status ${result}` : result.message;
      if (typeof result === 'number' ? isFinal(result) : result.reason === 'PERMISSION_DENIED') {
        log.warn({ webhook, why }, 'a webhook was refused and is not repeated');
        return [delivery, 'refused'];
      }
      const attempts = delivery.attempts + 1;
      const pauseMs = retryMs[delivery.attempts];
      if (pauseMs === undefined) {
        log.warn({ webhook, why, attempts }, 'a webhook was given up');
        return [delivery, 'given-up'];
      }
      delivery = { ...delivery, attempts, dueAtMs: steadyNowMs() + Math.round(pauseMs * (0.8 + 0.4 * Math.random())) };
      queue.waiting[0] = delivery;
      onRepeat(delivery);
    }
  }

  async #attempt(delivery: Delivery, signal: AbortSignal): Promise<number | MeshError | 'not-now'> {
    const semaphore = this.#semaphores.get(delivery.endpoint);
    if (semaphore === undefined) return 'not-now';
    const attempt = semaphore.run(async () => {
      if (signal.aborted || this.#isStopping || !this.#options.mayAttempt(delivery)) return 'not-now' as const;
      return this.#options.attempt(delivery, signal);
    });
    this.#running.add(attempt);
    try {
      return await attempt;
    } catch (thrown) {
      return MeshError.from(thrown);
    } finally {
      this.#running.delete(attempt);
    }
  }

  #over(delivery: Delivery, outcome: Outcome, reason?: DropReason): void {
    this.release(delivery);
    if (!this.#bounds.has(delivery.endpoint)) this.#semaphores.delete(delivery.endpoint);
    this.#options.onOver(delivery, outcome, reason);
  }
}

const nameOf = ({ endpoint, id }: Delivery): string => `${endpoint} ${id}`;

function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms <= 0 || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    timer.unref();
    signal.addEventListener('abort', end);
  });
}
