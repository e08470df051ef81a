/** Timers, so that tests can hold the clock. */
export interface Timers {
  set(callback: () => void, delayMs: number): unknown;
  clear(handle: unknown): void;
}

export const systemTimers: Timers = {
  set: (callback, delayMs) => setTimeout(callback, delayMs),
  clear: (handle) => clearTimeout(handle as NodeJS.Timeout),
};

export interface ViewerWatchOptions {
  /** From the opening of the session, or from a loss that is ours, until a viewer must be there. */
  readonly connectTimeoutMs: number;
  /** How long a viewer may be out of reach. */
  readonly goneMs: number;
  readonly onConnected: () => void;
  readonly onGone: (cause: string) => void;
  readonly timers?: Timers;
}

/** Knows whether somebody watches, and says once per absence that the viewer is gone. */
export class ViewerWatch {
  readonly #options: ViewerWatchOptions;
  readonly #timers: Timers;
  #state: 'awaited' | 'present' | 'away' | 'gone' | 'closed' = 'awaited';
  #timer: unknown;

  constructor(options: ViewerWatchOptions) {
    this.#options = options;
    this.#timers = options.timers ?? systemTimers;
    this.#expect(options.connectTimeoutMs, 'connect-timeout');
  }

  get present(): boolean {
    return this.#state === 'present';
  }

  /** Media can flow. */
  connected(): void {
    if (this.#state === 'closed' || this.#state === 'present') return;
    this.#state = 'present';
    this.#timers.clear(this.#timer);
    this.#options.onConnected();
  }

  /** Out of reach, perhaps for a moment. */
  lost(cause: string): void {
    if (this.#state !== 'present') return;
    this.#state = 'away';
    this.#expect(this.#options.goneMs, cause);
  }

  /** Cut off by our own fault: the viewer must first notice before it can come back. */
  cutOff(cause: string): void {
    if (this.#state === 'closed' || this.#state === 'gone') return;
    this.#state = 'away';
    this.#expect(this.#options.connectTimeoutMs, cause);
  }

  /** Left on purpose. */
  left(cause: string): void {
    if (this.#state === 'closed' || this.#state === 'gone') return;
    this.#gone(cause);
  }

  dispose(): void {
    this.#state = 'closed';
    this.#timers.clear(this.#timer);
  }

  #expect(withinMs: number, cause: string): void {
    this.#timers.clear(this.#timer);
    this.#timer = this.#timers.set(() => this.#gone(cause), withinMs);
  }

  #gone(cause: string): void {
    this.#timers.clear(this.#timer);
    this.#state = 'gone';
    this.#options.onGone(cause);
  }
}
