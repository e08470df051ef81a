import { type PlayheadMessage, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import type { Clock } from './clock.js';
import type { SpeechQueue, Taken } from './speech-queue.js';

/** A pause began or ended: `heardMs` of `turn` were heard by then; turn 0: nothing was left to be said. */
export type PauseChange =
  | { readonly type: 'paused'; readonly turn: number; readonly heardMs: number }
  | {
      readonly type: 'resumed';
      readonly turn: number;
      readonly heardMs: number;
      readonly cause: 'command' | 'interrupt';
      readonly pausedMs: number;
    };

/** What one chunk says, and the epoch it was made in. */
export interface Said extends Taken {
  readonly epoch: number;
}

/** Whether a call is paused, and the speech that came back from chunks nobody was to hear. */
export class Pause {
  readonly #speech: SpeechQueue;
  readonly #samplesPerFrame: number;
  readonly #clock: Clock;
  #sinceMs: number | undefined;
  /** What came back, by chunk. */
  #back: ReadonlyMap<number, Said> = new Map();

  constructor(speech: SpeechQueue, samplesPerFrame: number, clock: Clock, paused: boolean) {
    this.#speech = speech;
    this.#samplesPerFrame = samplesPerFrame;
    this.#clock = clock;
    this.#sinceMs = paused ? clock.nowMs() : undefined;
  }

  get on(): boolean {
    return this.#sinceMs !== undefined;
  }

  /** @param back what the chunks say that are void from now on */
  begin(back: ReadonlyMap<number, Said>): PauseChange {
    this.#sinceMs = this.#clock.nowMs();
    this.#speech.takeBack([...back.values()].filter(({ turn }) => turn > 0));
    this.#back = back;
    return { type: 'paused', ...this.#position() };
  }

  end(cause: 'command' | 'interrupt'): PauseChange | undefined {
    if (this.#sinceMs === undefined) return undefined;
    const pausedMs = this.#clock.nowMs() - this.#sinceMs;
    this.#sinceMs = undefined;
    return { type: 'resumed', ...this.#position(), cause, pausedMs };
  }

  /** Speech went on: what the listener heard before is no longer asked. */
  spoke(): void {
    this.#back = new Map();
  }

  /** The flush that took speech back may reach the egress too late for the first of it: what was heard is not said again. */
  onPlayhead({ epoch, chunk, frame }: PlayheadMessage): void {
    if (this.#back.get(chunk)?.epoch !== epoch) return;
    for (const [number, { turn, samples, fromSample }] of this.#back) {
      if (turn === 0 || number > chunk) continue;
      const heard = number < chunk ? samples : Math.min(samples, (frame + 1) * this.#samplesPerFrame);
      this.#speech.skipHeard(turn, fromSample + heard);
    }
  }

  #position(): { turn: number; heardMs: number } {
    const { turn, turnSamples } = this.#speech.position;
    return { turn, heardMs: (turnSamples * 1000) / SPEECH_RATE_HZ };
  }
}
