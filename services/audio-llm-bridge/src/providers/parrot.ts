import { setImmediate as nextTick } from 'node:timers/promises';
import { MeshError, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import { pitchShift } from '@talkmesh/media';
import { joinAtPause, joinOverlap, joinPcm, normaliseLoudness, pauses, trimSilence } from '../pcm.js';
import type { Cut, Provider, ProviderInput, ProviderOutput, ProviderSession } from './provider.js';

export interface ParrotOptions {
  /** How much higher (or lower, negative) the answer sounds. */
  readonly semitones: number;
}

const MAX_HEARD_SECONDS = 30;
/** Kept from before the user was heard to speak; enough for the longest pre-roll that is asked for. */
const MEMORY_MS = 2500;
/** A cough is not a sentence. */
const SHORTEST_ANSWER_MS = 200;
const MESSAGE_MS = 100;
const SAMPLES_PER_MS = SPEECH_RATE_HZ / 1000;

/** Repeats what the user said in a changed voice. */
class ParrotSession implements ProviderSession {
  #options: ParrotOptions;
  #emit: (output: ProviderOutput) => void;
  #memory: Int16Array[] = [];
  #memorySamples = 0;
  #heard: Int16Array[] | undefined;
  #heardSamples = 0;
  #answers = 0;
  /** Response being generated; another value stops it. */
  #answering = '';

  constructor(options: ParrotOptions, emit: (output: ProviderOutput) => void) {
    this.#options = options;
    this.#emit = emit;
  }

  push(input: ProviderInput): void {
    if (input.kind === 'audio') this.#hear(input.pcm);
    else if (input.kind === 'user.started') this.#start(input.preRollMs);
    else this.#answer();
  }

  cancel(cut: Cut): void {
    if (cut.response === this.#answering) this.#answering = '';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#answering = '';
  }

  #hear(pcm: Int16Array): void {
    this.#memory.push(pcm);
    this.#memorySamples += pcm.length;
    for (let first = this.#memory[0]; first !== undefined; first = this.#memory[0]) {
      if (this.#memorySamples - first.length < MEMORY_MS * SAMPLES_PER_MS) break;
      this.#memory.shift();
      this.#memorySamples -= first.length;
    }
    if (this.#heard === undefined || this.#heardSamples >= MAX_HEARD_SECONDS * SPEECH_RATE_HZ) return;
    this.#heard.push(pcm);
    this.#heardSamples += pcm.length;
  }

  #start(preRollMs: number): void {
    const memory = joinPcm(this.#memory);
    const from = Math.max(0, memory.length - Math.round(preRollMs * SAMPLES_PER_MS));
    this.#heard = [memory.subarray(from)];
    this.#heardSamples = memory.length - from;
  }

  #answer(): void {
    if (this.#heard === undefined) return;
    const said = trimSilence(joinPcm(this.#heard), SPEECH_RATE_HZ);
    this.#heard = undefined;
    if (said.length < SHORTEST_ANSWER_MS * SAMPLES_PER_MS) return;
    this.#answers += 1;
    this.#answering = `parrot-${this.#answers}`;
    this.#generate(this.#answering, normaliseLoudness(said)).catch((thrown: unknown) =>
      this.#emit({ kind: 'failed', error: MeshError.from(thrown) }),
    );
  }

  /** Piece by piece, with a turn of the event loop between them: shifting 30 s at once would hold up every other session. */
  async #generate(response: string, said: Int16Array): Promise<void> {
    const overlap = joinOverlap(SPEECH_RATE_HZ);
    let start = 0;
    let tail = new Int16Array(0);
    for (const end of pauses(said, SPEECH_RATE_HZ)) {
      const shifted = pitchShift(said.subarray(start, end + overlap), SPEECH_RATE_HZ, this.#options.semitones);
      joinAtPause(tail, shifted);
      tail = shifted.slice(end - start);
      this.#speak(response, end === said.length ? shifted : shifted.subarray(0, end - start));
      start = end;
      await nextTick();
      if (this.#answering !== response) return;
    }
    this.#emit({ kind: 'end', response });
  }

  #speak(response: string, pcm: Int16Array): void {
    const step = MESSAGE_MS * SAMPLES_PER_MS;
    for (let at = 0; at < pcm.length; at += step)
      this.#emit({ kind: 'speech', response, pcm: pcm.slice(at, at + step) });
  }
}

export function parrot(options: ParrotOptions): Provider {
  return {
    name: 'parrot',
    vad: 'mesh',
    source: 'voice',
    maxTurnSeconds: 180,
    open: async (_session, emit) => new ParrotSession(options, emit),
  };
}
