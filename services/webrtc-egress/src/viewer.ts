/** Timers, replaceable in tests. */
export interface Timers {
  set(callback: () => void, delayMs: number): unknown;
  clear(handle: unknown): void;
}

export const systemTimers: Timers = {
  set: (callback, delayMs) => setTimeout(callback, delayMs),
  clear: (handle) => clearTimeout(handle as NodeJS.Timeout),
};

export interface ViewerWatchOptions {
  /** A viewer must connect within this time after the session is opened, or after this service lost the connection. */
  readonly connectTimeoutMs: number;
  /** How long a viewer may be disconnected before it counts as gone. */
  readonly goneMs: number;
  readonly onConnected: () => void;
  readonly onGone: (cause: string) => void;
  readonly timers?: Timers;
}

/** Tracks whether a viewer is connected, and reports once per absence that the viewer is gone. */
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

  /** The viewer connected, so media can flow. */
  connected(): void {
    if (this.#state === 'closed' || this.#state === 'present') return;
    this.#state = 'present';
    this.#timers.clear(this.#timer);
    this.#options.onConnected();
  }

  /** The viewer lost its connection, perhaps only for a moment. */
  lost(cause: string): void {
    if (this.#state !== 'present') return;
    this.#state = 'away';
    this.#expect(this.#options.goneMs, cause);
  }

  /** This service lost the connection. The viewer gets the longer connect time, because it must notice before it can reconnect. */
  cutOff(cause: string): void {
    if (this.#state === 'closed' || this.#state === 'gone') return;
    this.#state = 'away';
    this.#expect(this.#options.connectTimeoutMs, cause);
  }

  /** The viewer said goodbye. A player that is stopped and started again does so too, so it may come back as one that vanished may. */
  hungUp(): void {
    if (this.#state === 'closed' || this.#state === 'gone') return;
    this.#state = 'away';
    this.#expect(this.#options.goneMs, 'hangup');
  }

  /** The reader of a recording disconnected. It cannot come back. */
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
