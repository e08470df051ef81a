import type { Cut, Provider, ProviderInput, ProviderOutput, ProviderSession } from './provider.js';

/** After a cut, silence on the wire for this long means that the sender has begun a new stream. */
const NEW_STREAM_GAP_MS = 1000;

/** The product sends the reply itself: what comes in as microphone audio goes out as speech, sample for sample. */
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
    // A cut stream keeps flowing until its sender notices; its rest belongs to the response that was cut.
    if (this.#cut && input.atMs - this.#lastAtMs > NEW_STREAM_GAP_MS) this.#next();
    this.#lastAtMs = input.atMs;
    const response = `external-${this.#number}`;
    if (input.pcm.length > 0) this.#emit({ kind: 'speech', response, pcm: input.pcm });
    if (!input.endOfTurn) return;
    this.#emit({ kind: 'end', response });
    this.#next();
  }

  cancel(cut: Cut): void {
    if (cut.response === `external-${this.#number}`) this.#cut = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #next(): void {
    this.#number += 1;
    this.#cut = false;
  }
}

export const external: Provider = {
  name: 'external',
  vad: 'none',
  source: 'external',
  maxTurnSeconds: 3600,
  open: async (_options, emit) => new ExternalSession(emit),
};
