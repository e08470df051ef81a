import type { SpeechStep } from './user-speech.js';

/** Commands overtake the audio that was recorded before them: it waits in jitter buffers. */
const PRE_ROLL_MS = 100;
const TAIL_MS = 200;
/** An input that is not committed for so long is committed: its end was lost. */
const LONGEST_INPUT_MS = 60_000;

/** `ending`: committed, and its last sounds are on their way. */
type State = 'none' | 'open' | 'ending';

/** The user's turns in a session with push-to-talk: the program says when they begin and end. Pure; its clock is passed in. */
export class PushToTalk {
  #state: State = 'none';
  #sinceMs = 0;

  /** When `check` has something to do although nothing else happens, on the clock of `nowMs`. */
  get decidesAtMs(): number | undefined {
    if (this.#state === 'none') return undefined;
    return this.#sinceMs + (this.#state === 'open' ? LONGEST_INPUT_MS : TAIL_MS);
  }

  /** @param isTurnRunning whether there is a turn to cut @returns undefined when an input is open already */
  start(isTurnRunning: boolean, nowMs: number): SpeechStep[] | undefined {
    if (this.#state === 'open') return undefined;
    const before: SpeechStep[] = this.#state === 'ending' ? [{ kind: 'end' }] : [];
    this.#state = 'open';
    this.#sinceMs = nowMs;
    return [...before, ...(isTurnRunning ? [{ kind: 'cut' } as const] : []), { kind: 'begin', preRollMs: PRE_ROLL_MS }];
  }

  /** @returns the duration of the input, milliseconds; undefined when none is open */
  commit(nowMs: number): number | undefined {
    if (this.#state !== 'open') return undefined;
    const durationMs = nowMs - this.#sinceMs;
    this.#state = 'ending';
    this.#sinceMs = nowMs;
    return durationMs;
  }

  /** @returns undefined when no input is open */
  cancel(): SpeechStep[] | undefined {
    if (this.#state !== 'open') return undefined;
    this.#state = 'none';
    return [{ kind: 'withdraw' }];
  }

  /** @returns the steps that are due; `committedMs`: nothing committed the input in time, so this call does; its duration */
  check(nowMs: number): { readonly steps: readonly SpeechStep[]; readonly committedMs?: number } {
    if (nowMs < (this.decidesAtMs ?? Number.POSITIVE_INFINITY)) return { steps: [] };
    const isOpen = this.#state === 'open';
    this.#state = 'none';
    return { steps: [{ kind: 'end' }], ...(isOpen && { committedMs: nowMs - this.#sinceMs }) };
  }
}
