import { ESPEAK_VOICES } from '../tts/espeak.js';
import type { Cut, Provider, ProviderInput, ProviderOutput, ProviderSession } from './provider.js';

/** When no audio arrives for this long after a cut, the next audio belongs to a new stream. */
const NEW_STREAM_GAP_MS = 1000;

/** The embedding product sends the replies itself: microphone audio is emitted as speech, sample for sample. */
class ExternalSession implements ProviderSession {
  #emit: (output: ProviderOutput) => void;
  #number = 1;
  #cut = false;
  #lastAtMs = 0;

  constructor(emit: (output: ProviderOutput) => void) {
    this.#emit = emit;
  }

  push(input: ProviderInput): void {
    if (input.kind !== 'audio') return;
    // A sender notices a cut late. Until then its audio belongs to the response that was cut.
    if (this.#cut && input.atMs - this.#lastAtMs > NEW_STREAM_GAP_MS) this.#beginNextResponse();
    this.#lastAtMs = input.atMs;
    const response = `external-${this.#number}`;
    if (input.pcm.length > 0) this.#emit({ kind: 'speech', response, pcm: input.pcm });
    if (!input.endOfTurn) return;
    this.#emit({ kind: 'end', response });
    this.#beginNextResponse();
  }

  cancel(cut: Cut): void {
    if (cut.response === `external-${this.#number}`) this.#cut = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #beginNextResponse(): void {
    this.#number += 1;
    this.#cut = false;
  }
}

export const external: Provider = {
  name: 'external',
  vad: 'none',
  source: 'external',
  voices: 'text-to-speech',
  knownVoices: ESPEAK_VOICES,
  maxTurnSeconds: 3600,
  open: async (_options, emit) => new ExternalSession(emit),
};
