import { MeshError } from '@talkmesh/contracts';
import type { ProviderOutput } from './providers/provider.js';
import type { SpeechSynthesizer } from './tts/synthesizer.js';

interface Line {
  readonly response: string;
  readonly text: string;
  readonly voice: string;
}

/** Speaks typed lines of one session, one after the other, as outputs like a provider's. */
export class Speaker implements AsyncDisposable {
  readonly #tts: SpeechSynthesizer;
  readonly #emit: (output: ProviderOutput) => void;
  readonly #running = new Map<string, AbortController>();
  #last: Promise<void> = Promise.resolve();

  constructor(tts: SpeechSynthesizer, emit: (output: ProviderOutput) => void) {
    this.#tts = tts;
    this.#emit = emit;
  }

  /**
   * Settles when the line's first sound is there. Failures before that reject; later ones are `failed` outputs.
   * @throws MeshError of SpeechSynthesizer.speak
   */
  async say(line: Line, signal: AbortSignal): Promise<void> {
    const abort = new AbortController();
    this.#running.set(line.response, abort);
    const withCaller = AbortSignal.any([abort.signal, signal]);
    const before = this.#last;
    await new Promise<void>((started, refused) => {
      let spoken = false;
      const begin = (): void => {
        spoken = true;
        started();
      };
      this.#last = before
        .then(() => this.#run(line, abort.signal, withCaller, begin))
        .catch((thrown: unknown) => {
          const error = MeshError.from(thrown);
          this.#emit({ kind: 'end', response: line.response });
          if (!spoken) refused(error);
          // A line that was cut is no failure.
          else if (error.reason !== 'CANCELLED') this.#emit({ kind: 'failed', error });
        })
        .finally(() => this.#running.delete(line.response));
    });
  }

  /** Settles when every line so far is made. */
  settled(): Promise<void> {
    return this.#last;
  }

  cancel(response: string): void {
    this.#running.get(response)?.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const abort of this.#running.values()) abort.abort();
    await this.#last;
  }

  /** The caller may give up only until the first sound: a spoken line goes on without it. */
  async #run(line: Line, own: AbortSignal, withCaller: AbortSignal, begin: () => void): Promise<void> {
    withCaller.throwIfAborted();
    const { response, text, voice } = line;
    let spoken = false;
    for await (const pcm of this.#tts.speak({ text, voice, signal: own })) {
      if (!spoken) withCaller.throwIfAborted();
      this.#emit({ kind: 'speech', response, pcm });
      if (spoken) continue;
      spoken = true;
      this.#emit({ kind: 'transcript', role: 'avatar', text, final: true, response });
      begin();
    }
    if (!spoken) throw new MeshError('PROVIDER_FAILED', `${this.#tts.name} made no sound for this text`);
    this.#emit({ kind: 'end', response });
  }
}
