import { SPEECH_RATE_HZ } from '@talkmesh/contracts';
import { Resampler, toPcm16 } from '@talkmesh/media';
import { joinPcm } from '../pcm.js';

const LOWEST_RATE_HZ = 4000;
const HIGHEST_RATE_HZ = 192_000;

export const isSampleRate = (rateHz: number): boolean =>
  Number.isInteger(rateHz) && rateHz >= LOWEST_RATE_HZ && rateHz <= HIGHEST_RATE_HZ;

/** PCM16 little-endian bytes of any sample rate, cut anywhere, as speech at 24 kHz. */
export class PcmDecoder {
  #rateHz = SPEECH_RATE_HZ;
  #resampler: Resampler | undefined;
  /** The first byte of a sample whose second byte has not arrived. */
  #halfSample: number | undefined;

  push(bytes: Uint8Array, rateHz: number): Int16Array {
    const before = rateHz === this.#rateHz ? new Int16Array(0) : this.#changeRate(rateHz);
    const pcm = this.#samples(bytes);
    const now = this.#resampler === undefined ? pcm : toPcm16(this.#resampler.push(pcm));
    return before.length === 0 ? now : joinPcm([before, now]);
  }

  /** The rest that the conversion of the rate still held. */
  flush(): Int16Array {
    return this.#resampler === undefined ? new Int16Array(0) : toPcm16(this.#resampler.flush());
  }

  #changeRate(rateHz: number): Int16Array {
    const rest = this.flush();
    this.#rateHz = rateHz;
    this.#resampler = rateHz === SPEECH_RATE_HZ ? undefined : new Resampler(rateHz, SPEECH_RATE_HZ);
    return rest;
  }

  #samples(bytes: Uint8Array): Int16Array {
    const whole =
      this.#halfSample === undefined ? Buffer.from(bytes) : Buffer.concat([Buffer.of(this.#halfSample), bytes]);
    const count = whole.length >> 1;
    this.#halfSample = whole.length % 2 === 1 ? whole[whole.length - 1] : undefined;
    const pcm = new Int16Array(count);
    for (let i = 0; i < count; i++) pcm[i] = whole.readInt16LE(2 * i);
    return pcm;
  }
}
