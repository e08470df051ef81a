import { MeshError } from '@talkmesh/contracts';

export interface PacerOptions {
  readonly aheadMs: number;
  readonly stallMs: number;
  readonly setTimer?: (callback: () => void, delayMs: number) => unknown;
  readonly clearTimer?: (handle: unknown) => void;
}

/** Back-pressure for a sender that is faster than real time: it may be at most `aheadMs` ahead of the playhead. */
export class StreamPacer {
  readonly #options: Required<PacerOptions>;
  #headUs: number | undefined;
  #playedMs = 0;
  #sentMs = 0;
  #wake: (() => void) | undefined;

  /** @param headUs current position of the playhead, if known */
  constructor(options: PacerOptions, headUs?: number) {
    this.#options = {
      setTimer: (callback, delayMs) => setTimeout(callback, delayMs),
      clearTimer: (handle) => clearTimeout(handle as NodeJS.Timeout),
      ...options,
    };
    this.#headUs = headUs;
  }

  /** Audio accepted minus audio played since this pacer was created, milliseconds. */
  get aheadMs(): number {
    return this.#sentMs - this.#playedMs;
  }

  sent(milliseconds: number): void {
    this.#sentMs += milliseconds;
  }

  /** Records a new playhead. A flush may set it back; time already played is not subtracted. */
  playhead(mediaTimeUs: number): void {
    const moved = this.#headUs === undefined ? 0 : Math.max(0, mediaTimeUs - this.#headUs) / 1000;
    this.#headUs = mediaTimeUs;
    this.#playedMs += moved;
    if (moved > 0) this.#wake?.();
  }

  /** Resolves when more audio may be accepted. @throws MeshError DEADLINE_EXCEEDED when the playhead does not move; the signal's reason */
  async room(signal: AbortSignal): Promise<void> {
    while (this.aheadMs >= this.#options.aheadMs) {
      signal.throwIfAborted();
      await this.#nextMovement(signal);
    }
  }

  #nextMovement(signal: AbortSignal): Promise<void> {
    const { aheadMs, stallMs, setTimer, clearTimer } = this.#options;
    return new Promise((resolve, reject) => {
      const done = (finish: () => void) => () => {
        clearTimer(timer);
        signal.removeEventListener('abort', onAbort);
        this.#wake = undefined;
        finish();
      };
      const onAbort = done(() => reject(signal.reason as Error));
      const stalled = `${aheadMs} ms of audio are waiting and nothing was played for ${stallMs} ms; check that a viewer is connected`;
      const timer = setTimer(
        done(() => reject(new MeshError('DEADLINE_EXCEEDED', stalled))),
        stallMs,
      );
      signal.addEventListener('abort', onAbort, { once: true });
      this.#wake = done(resolve);
    });
  }
}
