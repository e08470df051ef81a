import type { ResumeCause } from '@talkmesh/contracts';

export interface UserSpeechOptions {
  /** Whether user speech cuts turns; otherwise it waits for their end. */
  readonly bargeIn: boolean;
  /** User speech that begins within this time after a turn became audible is treated as the echo of that turn, milliseconds. */
  readonly bargeInGuardMs: number;
  /** Shorter user speech is no interruption: the turn continues, milliseconds. */
  readonly bargeInSpeechMs: number;
  /** After this time the turn is cut, although the end of the user's speech is not detected yet, milliseconds. */
  readonly bargeInHoldMs: number;
  /** Whether the mesh detects voice activity. A provider that does cuts its own answers at once, so there is nothing to decide. */
  readonly isDecided: boolean;
}

/** The turn that is heard or comes next, while the user speaks. */
export interface RunningTurn {
  readonly playedMs: number;
  /** Whether the avatar is silent because of a pause. */
  readonly isPaused: boolean;
}

/**
 * What to do next, in order.
 * `hold`: stop speech at once and keep what was not heard. `continue`: the user's speech was no interruption. `cut`: it is one.
 * `begin`: the provider hears the user from `preRollMs` before now on. `end`: the user's speech is over.
 */
export type SpeechStep =
  | { readonly kind: 'hold' }
  | { readonly kind: 'continue'; readonly cause: Exclude<ResumeCause, 'command'> }
  | { readonly kind: 'cut' }
  | { readonly kind: 'begin'; readonly preRollMs: number }
  | { readonly kind: 'end' };

/** Audio before the detected start of user speech that also belongs to it: detection takes some time. */
const PRE_ROLL_MS = 300;
const LONGEST_PRE_ROLL_MS = 2000;
/** Speech that began inside the echo guard and lasts this much longer than the guard comes from the user: an echo would have ended. */
const GUARD_RECHECK_MS = 700;

/**
 * `waiting`: it may be echo, or barge-in is off. `held`: the turn has stopped, and the speech may be too short to interrupt it.
 * `forwarded`: the provider hears it.
 */
type State = 'none' | 'waiting' | 'held' | 'forwarded';

/** Decides what speech on the microphone means to the turns: nothing, a false alarm or an interruption. Pure; its clock is passed in. */
export class UserSpeech {
  readonly #options: UserSpeechOptions;
  #state: State = 'none';
  #sinceMs = 0;

  constructor(options: UserSpeechOptions) {
    this.#options = options;
  }

  /** When `check` has something to decide although nothing else happens, on the clock of `nowMs`. */
  get decidesAtMs(): number | undefined {
    return this.#state === 'held' ? this.#sinceMs + this.#options.bargeInHoldMs : undefined;
  }

  started(turn: RunningTurn | undefined, nowMs: number): SpeechStep[] {
    if (this.#state !== 'none') return [];
    this.#sinceMs = nowMs;
    if (turn === undefined) return this.#forward(PRE_ROLL_MS);
    const isEcho = !turn.isPaused && turn.playedMs > 0 && turn.playedMs < this.#options.bargeInGuardMs;
    if (isEcho || !this.#options.bargeIn) {
      this.#state = 'waiting';
      return [];
    }
    if (!this.#options.isDecided) return this.#interrupt(nowMs);
    this.#state = 'held';
    return [{ kind: 'hold' }];
  }

  /** @param durationMs of the speech; undefined when the detector does not tell */
  stopped(durationMs: number | undefined, nowMs: number): SpeechStep[] {
    const state = this.#state;
    const before = state === 'held' ? this.#decide(durationMs ?? Number.POSITIVE_INFINITY, nowMs) : [];
    const isForwarded = this.#state === 'forwarded';
    this.#state = 'none';
    return isForwarded ? [...before, { kind: 'end' }] : before;
  }

  /** Decides what only time or the playhead can tell. */
  check(turn: RunningTurn | undefined, nowMs: number): SpeechStep[] {
    if (this.#state === 'waiting') {
      if (turn === undefined) return this.#forward(PRE_ROLL_MS);
      const beyondGuardMs = turn.isPaused ? nowMs - this.#sinceMs : turn.playedMs - this.#options.bargeInGuardMs;
      return this.#options.bargeIn && beyondGuardMs >= GUARD_RECHECK_MS ? this.#interrupt(nowMs) : [];
    }
    if (this.#state !== 'held') return [];
    return turn === undefined || nowMs - this.#sinceMs >= this.#options.bargeInHoldMs ? this.#interrupt(nowMs) : [];
  }

  #decide(durationMs: number, nowMs: number): SpeechStep[] {
    return durationMs < this.#options.bargeInSpeechMs
      ? [{ kind: 'continue', cause: 'too-short' }]
      : this.#interrupt(nowMs);
  }

  #interrupt(nowMs: number): SpeechStep[] {
    return [{ kind: 'cut' }, ...this.#forward(Math.min(LONGEST_PRE_ROLL_MS, PRE_ROLL_MS + nowMs - this.#sinceMs))];
  }

  #forward(preRollMs: number): SpeechStep[] {
    this.#state = 'forwarded';
    return [{ kind: 'begin', preRollMs }];
  }
}
