import { SpeechGate, type SpeechGateOptions } from '@talkmesh/media';
import { BoundedQueue, type Histogram, type Logger } from '@talkmesh/service-kit';
import { type SileroDetector, WINDOW_MS } from './silero.js';

/** 2 s of `mic` messages: a microphone is live, and what is older than that is not worth hearing. */
const LIVE_FRAMES = 100;
/** More than a stream may be ahead of its playhead (30 s of messages): it comes in bursts, and all of it is heard. */
const QUEUE_FRAMES = 1500;

export interface VoiceOptions {
  readonly detector: Pick<SileroDetector, 'push' | 'close'>;
  readonly gate: Required<SpeechGateOptions>;
  readonly log: Logger;
  /** Seconds a message took. */
  readonly took?: Histogram;
  readonly onStart: () => void;
  readonly onStop: (durationMs: number) => void;
}

/** Tells when somebody begins and stops to speak. Works beside the sound, never in its way: when it does not keep up, it skips. */
export class VoiceWatch {
  readonly #options: VoiceOptions;
  readonly #gate: SpeechGate;
  /** `undefined`: the source ended here. */
  readonly #queue: BoundedQueue<Int16Array | undefined>;
  readonly #worked: Promise<void>;
  #heardMs = 0;
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
    this.#worked = this.#work();
  }

  /** Messages not looked at. */
  get skipped(): number {
    return this.#skipped;
  }

  /** @param live a microphone: skipped rather than heard late */
  push(pcm24k: Int16Array, live: boolean): void {
    if (live && this.#queue.size >= LIVE_FRAMES) this.#skipped++;
    else this.#queue.push(pcm24k);
  }

  /** The source is gone: speech that is going on when its last message was heard has ended. */
  sourceGone(): void {
    this.#queue.push(undefined);
  }

  async close(): Promise<void> {
    this.#queue.clear();
    this.#queue.close();
    await this.#worked;
    this.#options.detector.close();
  }

  async #work(): Promise<void> {
    const { detector, log, took } = this.#options;
    for await (const pcm of this.#queue) {
      if (pcm === undefined) {
        this.#ended();
        continue;
      }
      const startMs = performance.now();
      try {
        for (const probability of await detector.push(pcm)) this.#heard(probability);
        took?.observe((performance.now() - startMs) / 1000);
      } catch (err) {
        this.#skipped++;
        log.error({ err }, 'voice activity detection failed for a message');
      }
    }
  }

  #ended(): void {
    if (this.#gate.speaking) this.#options.onStop(Math.max(0, this.#heardMs - this.#startedAtMs));
    this.#gate.reset();
  }

  #heard(probability: number): void {
    const { gate, onStart, onStop } = this.#options;
    this.#heardMs += WINDOW_MS;
    const change = this.#gate.push(probability, WINDOW_MS);
    if (change === 'start') {
      this.#startedAtMs = this.#heardMs - gate.startMs;
      onStart();
    } else if (change === 'stop') onStop(Math.max(0, this.#heardMs - gate.stopMs - this.#startedAtMs));
  }
}
