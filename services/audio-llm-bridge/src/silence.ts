import type { EventBody, PauseCause, ResumeCause } from '@talkmesh/contracts';

/** Why the avatar is silent in the middle of its turn: a command paused it, the user's speech holds it, or both. Every change returns the events to send. */
export class Silence {
  /** Undefined before the first command. */
  #paused: boolean | undefined;
  #held = false;
  /** Why speech continued last. */
  #resumeCause: ResumeCause = 'command';

  /** Whether a command paused the session. */
  get isPaused(): boolean {
    return this.#paused === true;
  }

  /** Whether the avatar is silent until a resume or an interrupt. */
  get isSilent(): boolean {
    return this.isPaused || this.#held;
  }

  /** At a takeover. What the user's speech held continues, because only the other bridge knew what the user was saying. */
  adopt(pause: PauseCause | 'over' | undefined): EventBody[] {
    this.#paused = pause === undefined ? undefined : pause === 'command';
    return pause === 'user-speech' ? this.release('no-words') : [];
  }

  pause(paused: boolean): EventBody[] {
    this.#paused = paused;
    this.#resumeCause = 'command';
    return this.repeat();
  }

  /** The last request once more, in case it did not arrive. */
  repeat(): EventBody[] {
    if (this.isSilent) return [{ type: 'pause', cause: this.isPaused ? 'command' : 'user-speech' }];
    return this.#paused === undefined ? [] : [{ type: 'resume', cause: this.#resumeCause }];
  }

  hold(): EventBody[] {
    this.#held = true;
    return this.isPaused ? [] : [{ type: 'pause', cause: 'user-speech' }];
  }

  /** Ends a hold; a pause by a command goes on. */
  release(cause: ResumeCause): EventBody[] {
    this.#held = false;
    if (this.isPaused) return [];
    this.#resumeCause = cause;
    return [{ type: 'resume', cause }];
  }

  /** An interrupt ends both. @param isCut whether it cuts a turn, which says the same as a resume */
  interrupt(isCut: boolean): EventBody[] {
    const wasSilent = this.isSilent;
    this.#paused &&= false;
    this.#held = false;
    return wasSilent && !isCut ? this.release('command') : [];
  }
}
