export interface FairQueueOptions {
  /** Tasks that may run at the same time. */
  readonly permits: number;
  /** Tasks of one key that may run at the same time. */
  readonly permitsPerKey: number;
  /** Tasks of one key that may wait. */
  readonly waitingPerKey: number;
  /** Tasks that may wait, of all keys. */
  readonly waiting: number;
  /** The error for a task that would be one too many to wait. */
  refusal(): Error;
}

interface Waiting {
  start(): void;
}

/** Runs tasks of several keys: each key has its own queue, the keys take turns, and none can take all permits. */
export class FairQueue {
  readonly #options: FairQueueOptions;
  readonly #running = new Map<string, number>();
  /** The key whose turn is next comes first. */
  readonly #queues = new Map<string, Waiting[]>();
  #total = 0;

  constructor(options: FairQueueOptions) {
    this.#options = options;
  }

  /** @throws the refusal, the reason of the signal when it is aborted while the task waits, and whatever the task throws */
  async run<T>(key: string, task: () => Promise<T>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    if (this.#mayStart(key)) this.#count(key, 1);
    else await this.#wait(key, signal);
    try {
      return await task();
    } finally {
      this.#count(key, -1);
      this.#startNext();
    }
  }

  #mayStart(key: string): boolean {
    const { permits, permitsPerKey } = this.#options;
    return this.#total < permits && (this.#running.get(key) ?? 0) < permitsPerKey;
  }

  #wait(key: string, signal: AbortSignal): Promise<void> {
    const { waitingPerKey, waiting, refusal } = this.#options;
    const all = [...this.#queues.values()].reduce((sum, queue) => sum + queue.length, 0);
    const queue = this.#queues.get(key) ?? [];
    if (queue.length >= waitingPerKey || all >= waiting) throw refusal();
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        queue.splice(queue.indexOf(entry), 1);
        if (queue.length === 0) this.#queues.delete(key);
        reject(signal.reason);
      };
      const entry = {
        start: () => {
          signal.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      queue.push(entry);
      this.#queues.set(key, queue);
    });
  }

  #startNext(): void {
    for (const [key, queue] of this.#queues) {
      if (!this.#mayStart(key)) continue;
      this.#queues.delete(key);
      const next = queue.shift();
      if (queue.length > 0) this.#queues.set(key, queue);
      if (next === undefined) continue;
      this.#count(key, 1);
      next.start();
      return;
    }
  }

  #count(key: string, change: 1 | -1): void {
    this.#total += change;
    const left = (this.#running.get(key) ?? 0) + change;
    if (left === 0) this.#running.delete(key);
    else this.#running.set(key, left);
  }
}
