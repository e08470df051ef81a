/** Why a chunk is less than it could be. `late`: its own time is short; `load`: the others' is; `idle`: speech goes first. */
export type DegradeReason = 'late' | 'load' | 'idle';

export interface Rung {
  /** Denoising steps to take; 0: the picture holds. */
  readonly steps: number;
  /** Undefined for a whole chunk. */
  readonly reason: DegradeReason | undefined;
}

export interface LadderOptions {
  /** Steps of a whole chunk; 1 for work that is done or not done. */
  readonly steps: number;
  /** Chunks in a row with time for one step more before it is taken again. */
  readonly recoverAfter: number;
  /** That step counts as affordable only when this many times its cost is there. */
  readonly recoverMargin: number;
  /** After this many held chunks in a row one is made, late or not: a picture never stands still for good. */
  readonly maxHeld: number;
  /** A chunk that would be late by no more than this is made all the same, milliseconds. */
  readonly toleranceMs: number;
}

export const LADDER_DEFAULTS = { recoverAfter: 3, recoverMargin: 1.25, maxHeld: 4, toleranceMs: 80 } as const;

export interface TimeLeft {
  /** Until the chunk must leave the worker, milliseconds; undefined: there is no deadline. */
  readonly ownMs: number | undefined;
  /** The same for whoever speaks elsewhere, with one step of each of their chunks kept back; undefined: nobody waits. */
  readonly sharedMs: number | undefined;
  /** What a whole chunk costs, milliseconds; 0: not known yet. */
  readonly costMs: number;
  readonly speaking: boolean;
  /** A held picture needs one before it. */
  readonly mayHold: boolean;
}

/**
 * One session's way down and up: fewer steps when time is short, then a held picture under sound that goes on in time.
 * Down at once, up one rung at a time and only after time was there for a while, so that it does not flap.
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

  /** A held picture costs the viewer most: it is left as soon as one step fits with room. */
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
    const { steps, toleranceMs } = this.#options;
    const stepMs = (costMs * margin) / steps;
    const affordable = (ms: number | undefined): number =>
      ms === undefined || stepMs === 0 ? steps : Math.max(0, Math.min(steps, Math.floor(ms / stepMs)));
    const own = affordable(ownMs) || (affordable((ownMs ?? 0) + toleranceMs) > 0 ? 1 : 0);
    const shared = affordable(sharedMs);
    if (own <= shared) return { rung: own, reason: 'late' };
    // For the others' sake a speaking chunk loses steps, an idle one everything.
    return { rung: speaking ? Math.min(own, Math.max(1, shared)) : shared, reason: speaking ? 'load' : 'idle' };
  }
}
