import { MeshError } from '@talkmesh/contracts';
import type { ProviderOutput } from './providers/provider.js';
import type { SpeechSynthesizer } from './tts/synthesizer.js';

interface Line {
  readonly response: string;
  readonly text: string;
  readonly voice: string;
}

/** Synthesises the typed lines of one session one after the other. Its outputs have the form of a provider's. */
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
   * Resolves with true at the line's first sound, and with false when `cancel` comes before it. Failures before the first sound reject;
   * later ones are `failed` outputs.
   * @throws MeshError of SpeechSynthesizer.speak
   */
  async say(line: Line, signal: AbortSignal): Promise<boolean> {
    const abort = new AbortController();
    this.#running.set(line.response, abort);
    const withCaller = AbortSignal.any([abort.signal, signal]);
    const before = this.#last;
    return new Promise<boolean>((settle, refused) => {
      let spoken = false;
      const begin = (): void => {
        spoken = true;
        settle(true);
      };
      this.#last = before
        .then(() => this.#run(line, abort.signal, withCaller, begin))
        .catch((thrown: unknown) => {
          const error = MeshError.from(thrown);
          this.#emit({ kind: 'end', response: line.response });
          if (!spoken && abort.signal.aborted && !signal.aborted) settle(false);
          else if (!spoken) refused(error);
          // A cancelled line is not a failure.
          else if (error.reason !== 'CANCELLED') this.#emit({ kind: 'failed', error });
        })
        .finally(() => this.#running.delete(line.response));
    });
  }

  /** Resolves when every line requested so far is synthesised. */
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

  /** The caller's signal counts only until the first sound; a line that is being spoken is finished even if the caller disconnects. */
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
    if (!spoken)
      throw new MeshError(
        'PROVIDER_FAILED',
        `${this.#tts.name} made no sound for this text; try another text or voice`,
      );
    this.#emit({ kind: 'end', response });
  }
}
