/** Why a chunk is degraded. `late`: its own time is short; `load`: that of other sessions is; `idle`: speech has priority. */
export type DegradeReason = 'late' | 'load' | 'idle';

export interface Rung {
  /** Denoising steps to take; 0: the previous frame is held. */
  readonly steps: number;
  /** Undefined for a whole chunk. */
  readonly reason: DegradeReason | undefined;
}

export interface LadderOptions {
  /** Steps of a whole chunk; 1 for work that cannot be divided. */
  readonly steps: number;
  /** Passes that a chunk takes besides its steps, however many those are. */
  readonly extraPasses?: number;
  /** Consecutive chunks with time for one more step before that step is taken. */
  readonly recoverAfter: number;
  /** One more step is affordable only with this many times its cost. */
  readonly recoverMargin: number;
  /** After this many consecutive held chunks one is processed even if late, so that the video never freezes for long. */
  readonly maxHeld: number;
  /** A chunk that would be late by no more than this is still processed, milliseconds. */
  readonly toleranceMs: number;
}

export const LADDER_DEFAULTS = { recoverAfter: 3, recoverMargin: 1.25, maxHeld: 4, toleranceMs: 80 } as const;

export interface TimeLeft {
  /** Until the chunk must leave the worker, milliseconds; undefined: there is no deadline. */
  readonly ownMs: number | undefined;
  /** The same for the other speaking sessions, see `sharedSlackMs`; undefined: no other session speaks. */
  readonly sharedMs: number | undefined;
  /** Cost of a whole chunk, milliseconds; 0: not known yet. */
  readonly costMs: number;
  readonly speaking: boolean;
  /** Whether there is a previous frame to hold. */
  readonly mayHold: boolean;
}

/**
 * Degradation of one session: fewer steps when time is short, then held frames while the sound continues in time. It goes down
 * at once, and up one rung at a time after a while of sufficient time (hysteresis).
 */
export class DegradeLadder {
  readonly #options: LadderOptions;
  #rung: number;
  #heldInARow = 0;
  #roomy = 0;
  #reason: DegradeReason = 'late';

  constructor(options: LadderOptions) {
    this.#options = options;
    this.#rung = options.steps;
  }

  /** The rung for the chunk that is begun now. */
  next(left: TimeLeft): Rung {
    const { steps } = this.#options;
    const { rung: fits, reason } = this.#fitting(left, 1);
    if (fits < this.#rung) {
      this.#rung = fits;
      this.#roomy = 0;
      this.#reason = reason;
    } else if (this.#rung < steps) this.#climb(this.#fitting(left, this.#options.recoverMargin).rung);
    if (this.#rung > 0 || !left.mayHold || this.#heldInARow >= this.#options.maxHeld) {
      this.#heldInARow = 0;
      const taken = Math.max(1, this.#rung);
      return { steps: taken, reason: taken < steps ? this.#reason : undefined };
    }
    this.#heldInARow += 1;
    return { steps: 0, reason: this.#reason };
  }

  /** Held frames are the worst for the viewer: they end as soon as one step fits with the margin. */
  #climb(fits: number): void {
    if (fits <= this.#rung) {
      this.#roomy = 0;
      return;
    }
    this.#roomy += 1;
    if (this.#rung > 0 && this.#roomy < this.#options.recoverAfter) return;
    this.#rung += 1;
    this.#roomy = 0;
  }

  #fitting({ ownMs, sharedMs, costMs, speaking }: TimeLeft, margin: number): { rung: number; reason: DegradeReason } {
    const { steps, extraPasses = 0, toleranceMs } = this.#options;
    const stepMs = (costMs * margin) / (steps + extraPasses);
    const affordable = (ms: number | undefined): number =>
      ms === undefined || stepMs === 0 ? steps : Math.max(0, Math.min(steps, Math.floor(ms / stepMs) - extraPasses));
    const own = affordable(ownMs) || (affordable((ownMs ?? 0) + toleranceMs) > 0 ? 1 : 0);
    const shared = affordable(sharedMs);
    if (own <= shared) return { rung: own, reason: 'late' };
    // In favour of other sessions a speaking chunk loses steps; an idle chunk may be held.
    return { rung: speaking ? Math.min(own, Math.max(1, shared)) : shared, reason: speaking ? 'load' : 'idle' };
  }
}
