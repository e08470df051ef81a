import { SpeechGate, type SpeechGateOptions } from '@talkmesh/media';
import { BoundedQueue, type Histogram, type Logger } from '@talkmesh/service-kit';
import { type SileroDetector, WINDOW_MS } from './silero.js';

/** 2 s of `mic` messages. A microphone is live: detection on older audio would come too late for a barge-in. */
const LIVE_FRAMES = 100;
/** 30 s of messages, more than a stream may be ahead of its playhead: a stream arrives in bursts, and all of it is analysed. */
const QUEUE_FRAMES = 1500;

export interface VoiceOptions {
  readonly detector: Pick<SileroDetector, 'push' | 'close'>;
  readonly gate: Required<SpeechGateOptions>;
  readonly log: Logger;
  /** Observes the detection time of each message, seconds. */
  readonly took?: Histogram;
  readonly onStart: () => void;
  /** `silenceMs`: how much silence after the speech was waited for. */
  readonly onStop: (durationMs: number, silenceMs: number) => void;
}

/** Detects when the user starts and stops speaking. It never delays audio: when it falls behind, it skips messages. */
export class VoiceWatch {
  readonly #options: VoiceOptions;
  readonly #gate: SpeechGate;
  /** `undefined` marks the end of a source. */
  readonly #queue: BoundedQueue<Int16Array | undefined>;
  readonly #loop: Promise<void>;
  #analysedMs = 0;
  #startedAtMs = 0;
  #skipped = 0;

  constructor(options: VoiceOptions) {
    this.#options = options;
    this.#gate = new SpeechGate(options.gate);
    this.#queue = new BoundedQueue<Int16Array | undefined>({
      name: 'vad',
      capacity: QUEUE_FRAMES,
      policy: 'drop-oldest',
      onDrop: () => this.#skipped++,
    });
    this.#loop = this.#run();
  }

  get skipped(): number {
    return this.#skipped;
  }

  /** @param live true for a microphone, whose messages are skipped when the queue is long */
  push(pcm24k: Int16Array, live: boolean): void {
    if (live && this.#queue.size >= LIVE_FRAMES) this.#skipped++;
    else this.#queue.push(pcm24k);
  }

  /** The source disconnected: speech still active after its last message ends there. */
  sourceGone(): void {
    this.#queue.push(undefined);
  }

  async close(): Promise<void> {
    this.#queue.clear();
    this.#queue.close();
    await this.#loop;
    this.#options.detector.close();
  }

  async #run(): Promise<void> {
    const { detector, log, took } = this.#options;
    for await (const pcm of this.#queue) {
      if (pcm === undefined) {
        this.#endSpeech();
        continue;
      }
      const startMs = performance.now();
      try {
        for (const probability of await detector.push(pcm)) this.#onProbability(probability);
        took?.observe((performance.now() - startMs) / 1000);
      } catch (err) {
        this.#skipped++;
        log.error({ err }, 'voice activity detection failed for a message, which was skipped');
      }
    }
  }

  #endSpeech(): void {
    if (this.#gate.speaking) this.#options.onStop(Math.max(0, this.#analysedMs - this.#startedAtMs), 0);
    this.#gate.reset();
  }

  #onProbability(probability: number): void {
    const { gate, onStart, onStop } = this.#options;
    this.#analysedMs += WINDOW_MS;
    const change = this.#gate.push(probability, WINDOW_MS);
    if (change === 'start') {
      this.#startedAtMs = this.#analysedMs - gate.startMs;
      onStart();
    } else if (change === 'stop') onStop(Math.max(0, this.#analysedMs - gate.stopMs - this.#startedAtMs), gate.stopMs);
  }
}
