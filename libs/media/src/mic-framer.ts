import { AUDIO_FRAME_MS, type AudioMessage, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import { toPcm16 } from './pcm.js';
import { PcmRing } from './pcm-ring.js';
import { Resampler } from './resampler.js';

const FRAME_SAMPLES = (SPEECH_RATE_HZ * AUDIO_FRAME_MS) / 1000;

/**
 * Converts audio of any rate to `mic` messages of 20 ms at 24 kHz with consecutive sequence numbers. A change of rate loses no
 * sample, because the old resampler is flushed first.
 */
export class MicFramer {
  readonly #sessionId: string;
  readonly #ring = new PcmRing();
  #resampler: { readonly fromHz: number; readonly filter: Resampler } | undefined;
  #sequence: number;
  #messages = 0;
  #samples = 0;

  /** @param firstSequence must be above every sequence number that another worker used for this session */
  constructor(sessionId: string, firstSequence = 0) {
    this.#sessionId = sessionId;
    this.#sequence = firstSequence;
  }

  get messages(): number {
    return this.#messages;
  }

  /** Samples at 24 kHz that do not fill a message yet. */
  get pending(): number {
    return this.#ring.length;
  }

  /** @param pcm mono */
  push(pcm: Int16Array, rateHz: number): AudioMessage[] {
    if (this.#resampler?.fromHz !== rateHz) {
      this.#flushResampler();
      this.#resampler = { fromHz: rateHz, filter: new Resampler(rateHz, SPEECH_RATE_HZ) };
    }
    this.#ring.push(toPcm16(this.#resampler.filter.push(pcm)));
    return this.#takeWholeMessages();
  }

  /** The source disconnected; another may follow in the same turn, so samples that fill no message are kept. */
  pause(): AudioMessage[] {
    this.#flushResampler();
    return this.#takeWholeMessages();
  }

  /** Ends the turn: the last message holds the remaining samples, possibly none, and is marked `endOfTurn`. */
  endTurn(): AudioMessage[] {
    const messages = this.pause();
    return [...messages, this.#createMessage(this.#ring.take(this.#ring.length), true)];
  }

  /** Ends the turn and drops the samples that fill no message. */
  cutTurn(): AudioMessage {
    this.#resampler = undefined;
    this.#ring.take(this.#ring.length);
    return this.#createMessage(new Int16Array(0), true);
  }

  /** Another worker continues in the middle of the turn: also emits the samples that do not fill a message. */
  handOver(): AudioMessage[] {
    const messages = this.pause();
    return this.#ring.length === 0
      ? messages
      : [...messages, this.#createMessage(this.#ring.take(this.#ring.length), false)];
  }

  #flushResampler(): void {
    if (this.#resampler !== undefined) this.#ring.push(toPcm16(this.#resampler.filter.flush()));
    this.#resampler = undefined;
  }

  #takeWholeMessages(): AudioMessage[] {
    const messages: AudioMessage[] = [];
    while (this.#ring.length >= FRAME_SAMPLES)
      messages.push(this.#createMessage(this.#ring.take(FRAME_SAMPLES), false));
    return messages;
  }

  #createMessage(pcm: Int16Array, endOfTurn: boolean): AudioMessage {
    const mediaTimeUs = Math.round((this.#samples * 1e6) / SPEECH_RATE_HZ);
    this.#samples += pcm.length;
    this.#messages += 1;
    return {
      sessionId: this.#sessionId,
      epoch: 0,
      turn: 0,
      chunk: 0,
      mediaTimeUs,
      deadlineUs: 0,
      sequence: this.#sequence++,
      sampleRateHz: SPEECH_RATE_HZ,
      pcm,
      fromSample: 0,
      endOfTurn,
    };
  }
}
