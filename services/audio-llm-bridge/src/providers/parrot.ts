import { setImmediate as nextTick } from 'node:timers/promises';
import { MeshError, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import { pitchShift } from '@talkmesh/media';
import { inPieces, joinAtPause, joinOverlap, normaliseLoudness, pauses, trimSilence } from '../pcm.js';
import { ESPEAK_VOICES } from '../tts/espeak.js';
import { MicMemory } from './mic-memory.js';
import type { Cut, Provider, ProviderInput, ProviderOutput, ProviderSession } from './provider.js';

export interface ParrotOptions {
  /** Pitch shift of the answer; negative is lower. */
  readonly semitones: number;
}

/** Shorter sounds, such as a cough, are not answered. */
const SHORTEST_ANSWER_MS = 200;
const SAMPLES_PER_MS = SPEECH_RATE_HZ / 1000;

/** Repeats what the user said at another pitch. */
class ParrotSession implements ProviderSession {
  #options: ParrotOptions;
  #emit: (output: ProviderOutput) => void;
  readonly #memory = new MicMemory();
  #answers = 0;
  /** Name of the response being generated; generation stops when it changes. */
  #answering = '';

  constructor(options: ParrotOptions, emit: (output: ProviderOutput) => void) {
    this.#options = options;
    this.#emit = emit;
  }

  push(input: ProviderInput): void {
    if (input.kind === 'audio') this.#memory.push(input.pcm);
    else if (input.kind === 'user.started') this.#memory.begin(input.preRollMs);
    else if (input.kind === 'user.stopped') this.#answer();
    else if (input.kind === 'user.withdrawn') this.#memory.forget();
  }

  cancel(cut: Cut): void {
    if (cut.response === this.#answering) this.#answering = '';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#answering = '';
  }

  #answer(): void {
    const heard = this.#memory.utterance;
    this.#memory.forget();
    if (heard === undefined) return;
    const utterance = trimSilence(heard, SPEECH_RATE_HZ);
    if (utterance.length < SHORTEST_ANSWER_MS * SAMPLES_PER_MS) return;
    this.#answers += 1;
    this.#answering = `parrot-${this.#answers}`;
    this.#generate(this.#answering, normaliseLoudness(utterance)).catch((thrown: unknown) =>
      this.#emit({ kind: 'failed', error: MeshError.from(thrown) }),
    );
  }

  /** Works piece by piece and yields to the event loop in between, because shifting 30 s at once would delay all other sessions. */
  async #generate(response: string, utterance: Int16Array): Promise<void> {
    const overlap = joinOverlap(SPEECH_RATE_HZ);
    let start = 0;
    let tail = new Int16Array(0);
    for (const end of pauses(utterance, SPEECH_RATE_HZ)) {
      const shifted = pitchShift(utterance.subarray(start, end + overlap), SPEECH_RATE_HZ, this.#options.semitones);
      joinAtPause(tail, shifted);
      tail = shifted.slice(end - start);
      const spoken = end === utterance.length ? shifted : shifted.subarray(0, end - start);
      for (const pcm of inPieces(spoken, SPEECH_RATE_HZ)) this.#emit({ kind: 'speech', response, pcm });
      start = end;
      await nextTick();
      if (this.#answering !== response) return;
    }
    this.#emit({ kind: 'end', response });
  }
}

export function parrot(options: ParrotOptions): Provider {
  return {
    name: 'parrot',
    vad: 'mesh',
    source: 'voice',
    voices: 'text-to-speech',
    knownVoices: ESPEAK_VOICES,
    maxTurnSeconds: 180,
    open: async (_session, emit) => new ParrotSession(options, emit),
  };
}
