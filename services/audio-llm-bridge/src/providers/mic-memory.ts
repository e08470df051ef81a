import { SPEECH_RATE_HZ } from '@talkmesh/contracts';
import { joinPcm } from '../pcm.js';

/** Audio kept from before the user began to speak; covers the longest pre-roll. */
const MEMORY_MS = 2500;
const MAX_UTTERANCE_SECONDS = 30;
const SAMPLES_PER_MS = SPEECH_RATE_HZ / 1000;

/** The newest microphone audio, and the utterance that the user speaks or has just spoken. */
export class MicMemory {
  #recent: Int16Array[] = [];
  #recentSamples = 0;
  #utterance: Int16Array[] | undefined;
  #utteranceSamples = 0;

  push(pcm: Int16Array): void {
    this.#recent.push(pcm);
    this.#recentSamples += pcm.length;
    for (let first = this.#recent[0]; first !== undefined; first = this.#recent[0]) {
      if (this.#recentSamples - first.length < MEMORY_MS * SAMPLES_PER_MS) break;
      this.#recent.shift();
      this.#recentSamples -= first.length;
    }
    if (this.#utterance === undefined || this.#utteranceSamples >= MAX_UTTERANCE_SECONDS * SPEECH_RATE_HZ) return;
    this.#utterance.push(pcm);
    this.#utteranceSamples += pcm.length;
  }

  /** Begins an utterance `preRollMs` before now. @returns the audio of the pre-roll */
  begin(preRollMs: number): Int16Array {
    const recent = joinPcm(this.#recent);
    const preRoll = recent.subarray(Math.max(0, recent.length - Math.round(preRollMs * SAMPLES_PER_MS)));
    this.#utterance = [preRoll];
    this.#utteranceSamples = preRoll.length;
    return preRoll;
  }

  /** The utterance since `begin`, at most 30 s of it; undefined when there is none. */
  get utterance(): Int16Array | undefined {
    return this.#utterance === undefined ? undefined : joinPcm(this.#utterance);
  }

  get hasUtterance(): boolean {
    return this.#utterance !== undefined;
  }

  forget(): void {
    this.#utterance = undefined;
    this.#utteranceSamples = 0;
  }
}
