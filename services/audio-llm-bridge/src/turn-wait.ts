import type { EventType } from '@talkmesh/contracts';

/** Measures how long the listener waits for a turn whose speech was sent. Waiting for another turn, or in a pause, does not count. */
export class TurnWait {
  readonly #sentAtMs = new Map<number, number>();
  /** When the avatar last became free to speak. */
  #freeAtMs = 0;
  #paused = false;

  sent(turn: number, nowMs: number): void {
    if (!this.#sentAtMs.has(turn)) this.#sentAtMs.set(turn, nowMs);
  }

  /** @returns the wait, milliseconds, when the event says that a turn begins to be heard */
  event(turn: number, type: EventType, nowMs: number): number | undefined {
    if (type === 'pause') this.#paused = true;
    if (type === 'resume' || type === 'interrupt' || type === 'turn.finished' || type === 'turn.cancelled')
      this.#freeAtMs = nowMs;
    if (type === 'resume' || type === 'interrupt') this.#paused = false;
    const sentAtMs = this.#sentAtMs.get(turn);
    if (type === 'turn.finished' || type === 'turn.cancelled') this.#sentAtMs.delete(turn);
    if (type !== 'turn.started' || sentAtMs === undefined || this.#paused) return undefined;
    return nowMs - Math.max(sentAtMs, this.#freeAtMs);
  }
}
