import type { Clock } from '@talkmesh/chunk-worker';
import { SPEECH_RATE_HZ } from '@talkmesh/contracts';

/** When the speech of a turn arrived, on the clock of `nowMs`, and how long its newest piece lasts, milliseconds. */
export interface SpeechArrival {
  readonly firstMs: number;
  readonly lastMs: number;
  readonly pieceMs: number;
}

/** Messages that arrive within this time of each other are one piece of speech, milliseconds. */
const TOGETHER_MS = 10;

export const msOf = (samples: number): number => (samples * 1000) / SPEECH_RATE_HZ;

/** When the speech of each unfinished turn arrived, which tells how fast its source sends. */
export class SpeechArrivals {
  readonly #clock: Clock;
  readonly #turns = new Map<number, SpeechArrival>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Speech of a turn arrived now. */
  add(turn: number, samples: number): void {
    const nowMs = this.#clock.nowMs();
    const pieceMs = msOf(samples);
    const known = this.#turns.get(turn);
    if (known === undefined) this.#turns.set(turn, { firstMs: nowMs, lastMs: nowMs, pieceMs });
    if (known === undefined || samples === 0) return;
    const isSamePiece = nowMs - known.lastMs < TOGETHER_MS;
    this.#turns.set(turn, { ...known, lastMs: nowMs, pieceMs: isSamePiece ? known.pieceMs + pieceMs : pieceMs });
  }

  /** @returns undefined when no speech of the turn arrived at this worker, or the turn is over */
  of(turn: number): SpeechArrival | undefined {
    return this.#turns.get(turn);
  }

  /** Turns up to this one are over. */
  forget(closedTurn: number): void {
    for (const turn of this.#turns.keys()) if (turn <= closedTurn) this.#turns.delete(turn);
  }

  /**
   * How far a turn is ahead of real time, milliseconds: how long its speech lasts, minus the time in which it arrived. The newest
   * piece does not count, because the next one may come only when this one would end.
   * @param totalMs all speech of the turn so far @returns undefined when nothing is known of the turn's arrival
   */
  aheadMs(turn: number, totalMs: number): number | undefined {
    const known = this.#turns.get(turn);
    return known && totalMs - known.pieceMs - (known.lastMs - known.firstMs);
  }
}
