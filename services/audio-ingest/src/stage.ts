import { AUDIO_FRAME_MS, type AudioMessage, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import { PcmRing, Resampler, toPcm16 } from '@talkmesh/media';

const FRAME_SAMPLES = (SPEECH_RATE_HZ * AUDIO_FRAME_MS) / 1000;

/**
 * Sound of any rate becomes `mic` messages: 24 kHz, 20 ms each, counted without a gap. A change of the rate loses no sample:
 * what the old filter still holds comes out first.
 */
export class MicStage {
  readonly #sessionId: string;
  readonly #ring = new PcmRing();
  #resampler: { readonly fromHz: number; readonly filter: Resampler } | undefined;
  #sequence: number;
  #messages = 0;
  #samples = 0;

  /** @param firstSequence above every number another worker gave this session's messages */
  constructor(sessionId: string, firstSequence = 0) {
    this.#sessionId = sessionId;
    this.#sequence = firstSequence;
  }

  /** Messages made so far. */
  get messages(): number {
    return this.#messages;
  }

  /** Samples at 24 kHz that wait for a message to be full. */
  get pending(): number {
    return this.#ring.length;
  }

  /** @param pcm mono */
  push(pcm: Int16Array, rateHz: number): AudioMessage[] {
    if (this.#resampler?.fromHz !== rateHz) {
      this.#flushFilter();
      this.#resampler = { fromHz: rateHz, filter: new Resampler(rateHz, SPEECH_RATE_HZ) };
    }
    this.#ring.push(toPcm16(this.#resampler.filter.push(pcm)));
    return this.#whole();
  }

  /** The source is gone; another may follow in the same turn. */
  pause(): AudioMessage[] {
    this.#flushFilter();
    return this.#whole();
  }

  /** The turn is over: the last message holds what is left, perhaps nothing. */
  endTurn(): AudioMessage[] {
    const whole = this.pause();
    return [...whole, this.#message(this.#ring.take(this.#ring.length), true)];
  }

  /** Another worker goes on in the middle of the turn: nothing is kept back. */
  handOver(): AudioMessage[] {
    const whole = this.pause();
    return this.#ring.length === 0 ? whole : [...whole, this.#message(this.#ring.take(this.#ring.length), false)];
  }

  #flushFilter(): void {
    if (this.#resampler !== undefined) this.#ring.push(toPcm16(this.#resampler.filter.flush()));
    this.#resampler = undefined;
  }

  #whole(): AudioMessage[] {
    const messages: AudioMessage[] = [];
    while (this.#ring.length >= FRAME_SAMPLES) messages.push(this.#message(this.#ring.take(FRAME_SAMPLES), false));
    return messages;
  }

  #message(pcm: Int16Array, endOfTurn: boolean): AudioMessage {
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

/** Interleaved channels become one by averaging. */
export function mixInterleaved(pcm: Int16Array, channels: number): Int16Array {
  if (channels === 1) return pcm;
  return Int16Array.from({ length: Math.floor(pcm.length / channels) }, (_, i) => {
    let sum = 0;
    for (let channel = 0; channel < channels; channel++) sum += pcm[i * channels + channel] ?? 0;
    return Math.round(sum / channels);
  });
}
