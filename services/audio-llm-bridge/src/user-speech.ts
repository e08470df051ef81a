import type { ResumeCause } from '@talkmesh/contracts';
import { isBackChannel } from './back-channels.js';

export interface UserSpeechOptions {
  /** Whether user speech cuts turns; otherwise it waits for their end. */
  readonly bargeIn: boolean;
  /** User speech that begins within this time after a turn became audible is treated as the echo of that turn, milliseconds. */
  readonly bargeInGuardMs: number;
  /** Shorter user speech is no interruption: the turn continues, milliseconds. */
  readonly bargeInSpeechMs: number;
  /** After this time the turn is cut, although the end of the user's speech is not detected yet, milliseconds. */
  readonly bargeInHoldMs: number;
  /** Whether words that only show that the user listens interrupt. */
  readonly backChannel: 'ignore' | 'interrupt';
  /** Language of the session, BCP 47; empty: not known. */
  readonly language: string;
  /** Whether the provider tells the words of an utterance before it answers. */
  readonly transcribesFirst: boolean;
  /** Whether the mesh detects voice activity. A provider that does cuts its own answers at once, so there is nothing to decide. */
  readonly isDecided: boolean;
}

/** The turn that is heard or comes next, while the user speaks. */
export interface RunningTurn {
  readonly playedMs: number;
  /** Speech of all turns that is not heard yet, milliseconds; infinite while more of it is generated. */
  readonly leftMs: number;
  /** Whether the avatar is silent because of a pause. */
  readonly isPaused: boolean;
}

/**
 * What to do next, in order.
 * `hold`: stop speech at once and keep what was not heard. `continue`: the user's speech was no interruption. `cut`: it is one.
 * `begin`: the provider hears the user from `preRollMs` before now on. `end`: the user's speech is over.
 * `ask`: the provider shall say what it hears in the last `preRollMs`, and not answer yet. `accept`: it shall answer. `withdraw`: it shall forget it.
 */
export type SpeechStep =
  | { readonly kind: 'hold' }
  | { readonly kind: 'continue'; readonly cause: Exclude<ResumeCause, 'command'> }
  | { readonly kind: 'cut' }
  | { readonly kind: 'begin'; readonly preRollMs: number }
  | { readonly kind: 'end' }
  | { readonly kind: 'ask'; readonly preRollMs: number }
  | { readonly kind: 'accept' }
  | { readonly kind: 'withdraw' };

/** Audio before the detected start of user speech that also belongs to it: detection takes some time. */
const PRE_ROLL_MS = 300;
const LONGEST_PRE_ROLL_MS = 2000;
/** Speech that began inside the echo guard and lasts this much longer than the guard comes from the user: an echo would have ended. */
const GUARD_RECHECK_MS = 700;
/** How long the avatar waits for the user's words. It then continues, and words that come later still interrupt. */
const WORDS_MS = 3000;
/** When less than this is left of the avatar's speech, "yes" is an answer to it. */
const ANSWER_MS = 1000;

/**
 * `waiting`: it may be echo, or barge-in is off. `held`: the turn has stopped, and the speech may be too short to interrupt it.
 * `asked`: it is over, and the provider was asked for its words. `forwarded`: the provider hears it.
 */
type State = 'none' | 'waiting' | 'held' | 'asked' | 'forwarded';

/** Decides what speech on the microphone means to the turns: nothing, a false alarm or an interruption. Pure; its clock is passed in. */
export class UserSpeech {
  readonly #options: UserSpeechOptions;
  #state: State = 'none';
  /** When the speech began, or, in state `asked`, ended. */
  #sinceMs = 0;
  /** In state `asked`: whether the avatar still waits for the words. */
  #isHeld = false;

  constructor(options: UserSpeechOptions) {
    this.#options = options;
  }

  /** When `check` has something to decide although nothing else happens, on the clock of `nowMs`. */
  get decidesAtMs(): number | undefined {
    if (this.#state === 'held') return this.#sinceMs + this.#options.bargeInHoldMs;
    return this.#state === 'asked' && this.#isHeld ? this.#sinceMs + WORDS_MS : undefined;
  }

  started(turn: RunningTurn | undefined, nowMs: number): SpeechStep[] {
    // Who goes on speaking means it, whatever the words before were.
    if (this.#state === 'asked') return [...this.#accept(), ...this.#forward(PRE_ROLL_MS)];
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
    if (this.#state === 'asked') return [];
    const before = this.#state === 'held' ? this.#decide(durationMs ?? Number.POSITIVE_INFINITY, nowMs) : [];
    if (before.some(({ kind }) => kind === 'ask')) return before;
    const isForwarded = this.#state === 'forwarded';
    this.#state = 'none';
    return isForwarded ? [...before, { kind: 'end' }] : before;
  }

  /** The provider's answer to `ask`. @param text what the user said; empty: no words */
  heard(text: string, turn: RunningTurn | undefined): SpeechStep[] {
    if (this.#state !== 'asked') return [];
    const { backChannel, language } = this.#options;
    const isIgnored =
      backChannel === 'ignore' && turn !== undefined && turn.leftMs >= ANSWER_MS && isBackChannel(text, language);
    if (text !== '' && !isIgnored) return this.#accept();
    this.#state = 'none';
    const withdraw: SpeechStep = { kind: 'withdraw' };
    return this.#isHeld
      ? [withdraw, { kind: 'continue', cause: text === '' ? 'no-words' : 'back-channel' }]
      : [withdraw];
  }

  /** Decides what only time or the playhead can tell. */
  check(turn: RunningTurn | undefined, nowMs: number): SpeechStep[] {
    if (this.#state === 'waiting') {
      if (turn === undefined) return this.#forward(PRE_ROLL_MS);
      const beyondGuardMs = turn.isPaused ? nowMs - this.#sinceMs : turn.playedMs - this.#options.bargeInGuardMs;
      return this.#options.bargeIn && beyondGuardMs >= GUARD_RECHECK_MS ? this.#interrupt(nowMs) : [];
    }
    if (this.#state === 'asked') {
      if (turn === undefined) return this.#accept();
      if (!this.#isHeld || nowMs - this.#sinceMs < WORDS_MS) return [];
      this.#isHeld = false;
      return [{ kind: 'continue', cause: 'no-words' }];
    }
    if (this.#state !== 'held') return [];
    return turn === undefined || nowMs - this.#sinceMs >= this.#options.bargeInHoldMs ? this.#interrupt(nowMs) : [];
  }

  #decide(durationMs: number, nowMs: number): SpeechStep[] {
    if (durationMs < this.#options.bargeInSpeechMs) return [{ kind: 'continue', cause: 'too-short' }];
    if (!this.#options.transcribesFirst) return this.#interrupt(nowMs);
    const preRollMs = this.#preRollMs(nowMs);
    this.#state = 'asked';
    this.#sinceMs = nowMs;
    this.#isHeld = true;
    return [{ kind: 'ask', preRollMs }];
  }

  #accept(): SpeechStep[] {
    this.#state = 'none';
    return [{ kind: 'cut' }, { kind: 'accept' }];
  }

  #interrupt(nowMs: number): SpeechStep[] {
    return [{ kind: 'cut' }, ...this.#forward(this.#preRollMs(nowMs))];
  }

  #preRollMs(nowMs: number): number {
    return Math.min(LONGEST_PRE_ROLL_MS, PRE_ROLL_MS + nowMs - this.#sinceMs);
  }

  #forward(preRollMs: number): SpeechStep[] {
    this.#state = 'forwarded';
    return [{ kind: 'begin', preRollMs }];
  }
}
