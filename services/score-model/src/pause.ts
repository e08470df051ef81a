import type { Clock } from '@talkmesh/chunk-worker';
import { type PauseCause, type PlayheadMessage, type ResumeCause, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import type { SpeechQueue, Taken } from './speech-queue.js';

/** A pause began or ended: `heardMs` of `turn` had been heard. Turn 0: no speech was left. */
export type PauseChange =
  | { readonly type: 'paused'; readonly turn: number; readonly heardMs: number; readonly cause: PauseCause }
  | {
      readonly type: 'resumed';
      readonly turn: number;
      readonly heardMs: number;
      readonly cause: ResumeCause | 'interrupt';
      readonly pausedMs: number;
    };

/** The request to begin or to end a pause. */
export type PauseRequest =
  | { readonly type: 'pause'; readonly cause: PauseCause }
  | { readonly type: 'resume'; readonly cause: ResumeCause };

/** The speech in one chunk, and the epoch it was generated in. */
export interface ChunkSpeech extends Taken {
  readonly epoch: number;
}

/** Whether a session is paused, and the speech that was taken back from flushed chunks. */
export class Pause {
  readonly #speech: SpeechQueue;
  readonly #samplesPerFrame: number;
  readonly #clock: Clock;
  #sinceMs: number | undefined;
  #cause: PauseCause;
  /** Speech that was taken back, by chunk. */
  #takenBack: ReadonlyMap<number, ChunkSpeech> = new Map();

  constructor(speech: SpeechQueue, samplesPerFrame: number, clock: Clock, paused: PauseCause | undefined) {
    this.#speech = speech;
    this.#samplesPerFrame = samplesPerFrame;
    this.#clock = clock;
    this.#sinceMs = paused === undefined ? undefined : clock.nowMs();
    this.#cause = paused ?? 'command';
  }

  get isOn(): boolean {
    return this.#sinceMs !== undefined;
  }

  /** @param back the speech in the chunks that this pause flushes or cuts @param playhead the last one, which says what of it was heard */
  begin(back: ReadonlyMap<number, ChunkSpeech>, cause: PauseCause, playhead: PlayheadMessage | undefined): PauseChange {
    this.#cause = cause;
    this.#sinceMs = this.#clock.nowMs();
    this.#speech.takeBack([...back.values()].filter(({ turn }) => turn > 0));
    this.#takenBack = back;
    if (playhead !== undefined) this.onPlayhead(playhead);
    return { type: 'paused', ...this.#position(), cause };
  }

  /** The pause goes on for another cause. @returns undefined when it is the same one */
  changeCause(cause: PauseCause): PauseChange | undefined {
    if (cause === this.#cause) return undefined;
    this.#cause = cause;
    return { type: 'paused', ...this.#position(), cause };
  }

  end(cause: ResumeCause | 'interrupt'): PauseChange | undefined {
    if (this.#sinceMs === undefined) return undefined;
    const pausedMs = this.#clock.nowMs() - this.#sinceMs;
    this.#sinceMs = undefined;
    return { type: 'resumed', ...this.#position(), cause, pausedMs };
  }

  /** Speech has continued: later playheads no longer change where it continues. */
  onSpeechTaken(): void {
    this.#takenBack = new Map();
  }

  /** The flush may reach the egress after it played some of the speech that was taken back: that part is not repeated. */
  onPlayhead({ epoch, chunk, frame }: PlayheadMessage): void {
    if (this.#takenBack.get(chunk)?.epoch !== epoch) return;
    for (const [number, { turn, speechSamples, fromSample }] of this.#takenBack) {
      if (turn === 0 || number > chunk) continue;
      const heard = number < chunk ? speechSamples : Math.min(speechSamples, (frame + 1) * this.#samplesPerFrame);
      this.#speech.skipHeard(turn, fromSample + heard);
    }
  }

  #position(): { turn: number; heardMs: number } {
    const { turn, turnSamples } = this.#speech.nextTurn;
    return { turn, heardMs: (turnSamples * 1000) / SPEECH_RATE_HZ };
  }
}
