import type { StageService } from '@talkmesh/client';

/** Frames that were generated ahead cover an interruption of this length, so the user sees nothing of it, milliseconds. */
const COVERED_MS = 1000;

/** Shows that a call waits for another worker once the user can see the wait, and hides the notice when the wait is over. */
export class RecoveryNotice {
  readonly #onChange: (waiting: boolean) => void;
  readonly #afterMs: number;
  readonly #waiting = new Map<StageService, ReturnType<typeof setTimeout>>();
  #isShown = false;

  constructor(onChange: (waiting: boolean) => void, afterMs = COVERED_MS) {
    this.#onChange = onChange;
    this.#afterMs = afterMs;
  }

  /** @param recovering the stages that have no worker now */
  show(recovering: readonly StageService[]): void {
    for (const service of recovering)
      if (!this.#waiting.has(service))
        this.#waiting.set(
          service,
          setTimeout(() => this.#setShown(true), this.#afterMs),
        );
    for (const service of [...this.#waiting.keys()]) if (!recovering.includes(service)) this.#stopWaiting(service);
  }

  /** Called when the call has ended. */
  clear(): void {
    this.show([]);
  }

  #stopWaiting(service: StageService): void {
    clearTimeout(this.#waiting.get(service));
    this.#waiting.delete(service);
    if (this.#waiting.size === 0) this.#setShown(false);
  }

  #setShown(waiting: boolean): void {
    if (this.#isShown === waiting) return;
    this.#isShown = waiting;
    this.#onChange(waiting);
  }
}
