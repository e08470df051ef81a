import { MeshError } from '@talkmesh/contracts';

export interface PacerOptions {
  /** Audio accepted beyond what was played, milliseconds. */
  readonly aheadMs: number;
  /** While somebody waits the playhead must move within this time, milliseconds. */
  readonly stallMs: number;
  readonly setTimer?: (callback: () => void, delayMs: number) => unknown;
  readonly clearTimer?: (handle: unknown) => void;
}

/** Lets a sender that is faster than time run `aheadMs` before the playhead and no further. */
export class StreamPacer {
  readonly #options: Required<PacerOptions>;
  #headUs: number | undefined;
  #playedMs = 0;
  #sentMs = 0;
  #wake: (() => void) | undefined;

  /** @param headUs the playhead's position now, when it is known */
  constructor(options: PacerOptions, headUs?: number) {
    this.#options = {
      setTimer: (callback, delayMs) => setTimeout(callback, delayMs),
      clearTimer: (handle) => clearTimeout(handle as NodeJS.Timeout),
      ...options,
    };
    this.#headUs = headUs;
  }

  /** Audio accepted beyond what was played since the beginning, milliseconds. */
  get aheadMs(): number {
    return this.#sentMs - this.#playedMs;
  }

  sent(milliseconds: number): void {
    this.#sentMs += milliseconds;
  }

  /** A flush sets the playhead back; time that was played stays played. */
  playhead(mediaTimeUs: number): void {
    const moved = this.#headUs === undefined ? 0 : Math.max(0, mediaTimeUs - this.#headUs) / 1000;
    this.#headUs = mediaTimeUs;
    this.#playedMs += moved;
    if (moved > 0) this.#wake?.();
  }

  /** Resolves when there is room. @throws MeshError DEADLINE_EXCEEDED when the playhead stands still; the signal's reason */
  async room(signal: AbortSignal): Promise<void> {
    while (this.aheadMs >= this.#options.aheadMs) {
      signal.throwIfAborted();
      await this.#movement(signal);
    }
  }

  #movement(signal: AbortSignal): Promise<void> {
    const { aheadMs, stallMs, setTimer, clearTimer } = this.#options;
    return new Promise((resolve, reject) => {
      const done = (finish: () => void) => () => {
        clearTimer(timer);
        signal.removeEventListener('abort', onAbort);
        this.#wake = undefined;
        finish();
      };
      const onAbort = done(() => reject(signal.reason as Error));
      const stalled = `${aheadMs} ms of audio wait and nothing was played for ${stallMs} ms: is anybody watching?`;
      const timer = setTimer(
        done(() => reject(new MeshError('DEADLINE_EXCEEDED', stalled))),
        stallMs,
      );
      signal.addEventListener('abort', onAbort, { once: true });
      this.#wake = done(resolve);
    });
  }
}
