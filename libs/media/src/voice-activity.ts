/** Speech started or stopped; `atMs` counts from the first sample that the detector received. */
export interface VadEvent {
  readonly type: 'start' | 'stop';
  readonly atMs: number;
}

/** Detects speech in PCM16 mono 24 kHz audio of any block size. */
export interface VoiceActivityDetector {
  push(pcm24k: Int16Array): Promise<VadEvent[]> | VadEvent[];
}

export interface SpeechGateOptions {
  /** Probability at which speech may start. */
  readonly startThreshold?: number;
  /** Probability below which speech may stop; at most the start threshold, so that the state does not oscillate. */
  readonly stopThreshold?: number;
  /** Duration of speech, milliseconds, that counts as a start; shorter sounds are clicks. */
  readonly startMs?: number;
  /** Duration of silence, milliseconds, that counts as a stop; shorter silence is a gap between words. */
  readonly stopMs?: number;
}

/** Turns speech probabilities of a detector into starts and stops, with hysteresis in level and time. */
export class SpeechGate {
  readonly #options: Required<SpeechGateOptions>;
  #speaking = false;
  #evidenceMs = 0;

  constructor(options: SpeechGateOptions = {}) {
    this.#options = { startThreshold: 0.5, stopThreshold: 0.35, startMs: 60, stopMs: 480, ...options };
    if (this.#options.stopThreshold > this.#options.startThreshold)
      throw new RangeError('the stop threshold must not be above the start threshold');
  }

  get speaking(): boolean {
    return this.#speaking;
  }

  /** @param probability 0..1 of speech in a block @param frameMs duration of that block */
  push(probability: number, frameMs: number): 'start' | 'stop' | undefined {
    const { startThreshold, stopThreshold, startMs, stopMs } = this.#options;
    const against = this.#speaking ? probability < stopThreshold : probability >= startThreshold;
    if (!against) {
      // One weak block must not discard the evidence for a start, so it only reduces it.
      this.#evidenceMs = this.#speaking ? 0 : Math.max(0, this.#evidenceMs - frameMs);
      return undefined;
    }
    this.#evidenceMs += frameMs;
    if (this.#evidenceMs < (this.#speaking ? stopMs : startMs)) return undefined;
    this.#evidenceMs = 0;
    this.#speaking = !this.#speaking;
    return this.#speaking ? 'start' : 'stop';
  }

  reset(): void {
    this.#speaking = false;
    this.#evidenceMs = 0;
  }
}
