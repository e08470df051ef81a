/** What a push to a full queue does. `never-drop`: refuses it; `drop-oldest`: drops the head of the queue; `drop-newest`: drops the pushed item. */
export type QueuePolicy = 'never-drop' | 'drop-oldest' | 'drop-newest';

export interface BoundedQueueOptions<T> {
  /** Label of the metrics. Several queues may share a name; their metrics are summed. */
  readonly name: string;
  /** Most items that wait; at least 1. */
  readonly capacity: number;
  readonly policy: QueuePolicy;
  /** Called for each item that is dropped because the queue is full, and for each item that `clear` removes. */
  onDrop?(item: T): void;
}

type DropReason = 'full' | 'refused' | 'cleared';

/** What the depth metric reads. The references are weak, so that they do not keep an abandoned queue in memory. */
type Measured = Pick<BoundedQueue<unknown>, 'name' | 'size' | 'closed'>;
const live = new Set<WeakRef<Measured>>();
const drops = new Map<string, { queue: string; reason: DropReason; count: number }>();

/** Number of items that wait, by queue name. */
export function queueDepths(): Map<string, number> {
  const depths = new Map<string, number>();
  for (const reference of live) {
    const queue = reference.deref();
    if (queue === undefined || (queue.closed && queue.size === 0)) live.delete(reference);
    if (queue !== undefined) depths.set(queue.name, (depths.get(queue.name) ?? 0) + queue.size);
  }
  return depths;
}

/** Number of items lost since the process started, by queue name and reason. */
export function queueDrops(): readonly { queue: string; reason: string; count: number }[] {
  return [...drops.values()];
}

/**
 * A named queue that never exceeds its capacity. Producers call `push`, consumers use `for await`; several consumers share the items.
 * Leaving the loop early does not close the queue.
 */
export class BoundedQueue<T> implements AsyncIterable<T> {
  readonly name: string;
  readonly #capacity: number;
  readonly #policy: QueuePolicy;
  readonly #onDrop: ((item: T) => void) | undefined;
  #items: T[] = [];
  #waiters: ((result: IteratorResult<T, undefined>) => void)[] = [];
  #closed = false;

  constructor(options: BoundedQueueOptions<T>) {
    if (!Number.isInteger(options.capacity) || options.capacity < 1)
      throw new RangeError(`queue ${options.name}: capacity must be an integer of at least 1, not ${options.capacity}`);
    this.name = options.name;
    this.#capacity = options.capacity;
    this.#policy = options.policy;
    this.#onDrop = options.onDrop?.bind(options);
    live.add(new WeakRef<Measured>(this));
    this.#count(options.policy === 'never-drop' ? 'refused' : 'full', 0);
  }

  /** Number of items that wait. */
  get size(): number {
    return this.#items.length;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** @returns false when the queue did not accept the item, because it is closed, or full under `never-drop`; the caller still owns the item */
  push(item: T): boolean {
    if (this.#closed) return false;
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) {
      waiter({ value: item, done: false });
      return true;
    }
    if (this.#items.length < this.#capacity) {
      this.#items.push(item);
      return true;
    }
    if (this.#policy === 'never-drop') {
      this.#count('refused');
      return false;
    }
    this.#count('full');
    if (this.#policy === 'drop-newest') {
      this.#onDrop?.(item);
      return true;
    }
    const oldest = this.#items.shift() as T;
    this.#items.push(item);
    this.#onDrop?.(oldest);
    return true;
  }

  /** Refuses further items. Consumers end after the items that wait. */
  close(): void {
    this.#closed = true;
    for (const waiter of this.#waiters.splice(0)) waiter({ value: undefined, done: true });
  }

  /** Removes the items that match; without a predicate, all of them. @returns how many */
  clear(predicate: (item: T) => boolean = () => true): number {
    const removed: T[] = [];
    const kept: T[] = [];
    for (const item of this.#items) (predicate(item) ? removed : kept).push(item);
    if (removed.length === 0) return 0;
    this.#items = kept;
    this.#count('cleared', removed.length);
    for (const item of removed) this.#onDrop?.(item);
    return removed.length;
  }

  [Symbol.asyncIterator](): AsyncIterator<T, undefined> {
    return {
      next: () => {
        if (this.#items.length > 0) return Promise.resolve({ value: this.#items.shift() as T, done: false });
        if (this.#closed) return Promise.resolve({ value: undefined, done: true });
        return new Promise((resolve) => this.#waiters.push(resolve));
      },
      return: () => Promise.resolve({ value: undefined, done: true }),
    };
  }

  #count(reason: DropReason, by = 1): void {
    const key = `${this.name} ${reason}`;
    const entry = drops.get(key) ?? { queue: this.name, reason, count: 0 };
    entry.count += by;
    drops.set(key, entry);
  }
}
