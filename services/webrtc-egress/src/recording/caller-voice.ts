import { type AudioMessage, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import { PcmRing } from '@talkmesh/media';

const ms = (milliseconds: number): number => (milliseconds * SPEECH_RATE_HZ) / 1000;
/** So much waits before the voice begins, and begins again after a gap: messages do not come evenly. */
const CUSHION = ms(60);
/** More than this is more than the way from the microphone takes; the older samples are left out. */
const MOST = ms(400);

/** The caller's voice for a recording: takes the messages of `mic` as they come and gives samples as frames are played. Pure. */
export class CallerVoice {
  readonly #ring = new PcmRing();
  #sequence = -1;
  #flows = false;

  /** Duplicates, which a new audio-ingest may send, are left out. */
  push({ sequence, pcm }: Pick<AudioMessage, 'sequence' | 'pcm'>): void {
    if (sequence <= this.#sequence) return;
    this.#sequence = sequence;
    this.#ring.push(pcm);
    if (this.#ring.length > MOST) this.#ring.take(this.#ring.length - CUSHION);
  }

  /** Adds the next samples to those of the avatar. @returns a new array of the same length; sums beyond 16 bits are clipped */
  mixInto(pcm: Int16Array): Int16Array {
    this.#flows = this.#ring.length >= (this.#flows ? 1 : CUSHION);
    if (!this.#flows) return pcm;
    const voice = this.#ring.take(pcm.length);
    return pcm.map((sample, index) => Math.max(-32_768, Math.min(32_767, sample + (voice[index] ?? 0))));
  }
}
