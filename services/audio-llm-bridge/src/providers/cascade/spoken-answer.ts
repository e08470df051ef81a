import { SPEECH_RATE_HZ } from '@talkmesh/contracts';
import { inPieces } from '../../pcm.js';
import { withoutMarkup } from '../../tts/spoken-text.js';
import type { SpeechSynthesizer } from '../../tts/synthesizer.js';
import { textWithin } from '../history.js';
import type { ProviderOutput } from '../provider.js';

export interface SpokenAnswerOptions {
  readonly response: string;
  readonly tts: SpeechSynthesizer;
  readonly voice: string;
  readonly emit: (output: ProviderOutput) => void;
  readonly onFirstSound: () => void;
}

interface Sentence {
  readonly text: string;
  ms: number;
  /** Whether all of its speech has arrived. */
  isComplete: boolean;
}

/** Time of a character of speech while no sentence is complete, milliseconds. */
const CHARACTER_MS = 65;

/** One answer of the model: its sentences are spoken one after the other while the model still writes. */
export class SpokenAnswer {
  readonly abort = new AbortController();
  readonly #options: SpokenAnswerOptions;
  readonly #sentences: Sentence[] = [];
  #speaking: Promise<void> = Promise.resolve();

  constructor(options: SpokenAnswerOptions) {
    this.#options = options;
  }

  get response(): string {
    return this.#options.response;
  }

  get hasSound(): boolean {
    return this.#sentences.some(({ ms }) => ms > 0);
  }

  /** What was spoken so far. */
  get text(): string {
    return this.#sentences.map(({ text }) => text).join(' ');
  }

  /** The words that were heard when `playedMs` of the answer were played. */
  heard(playedMs: number): string {
    const words: string[] = [];
    let leftMs = playedMs;
    for (const sentence of this.#sentences) {
      if (leftMs <= 0) break;
      const durationMs = this.#durationMs(sentence);
      words.push(textWithin(sentence.text, leftMs / durationMs));
      leftMs -= durationMs;
    }
    return words.join(' ').trim();
  }

  /** Speaks a sentence after those before it, without its Markdown. A sentence of signs alone has no sound. */
  say(sentence: string): void {
    const text = withoutMarkup(sentence).trim();
    if (!/[\p{L}\p{N}]/u.test(text)) return;
    this.#speaking = this.#speaking.then(() => this.#speak(text));
    // `finished` reports the failure; until then it must not count as unhandled.
    this.#speaking.catch(() => undefined);
  }

  /** Resolves when all sentences are spoken. @throws what the synthesiser throws */
  async finished(): Promise<void> {
    await this.#speaking;
    if (!this.hasSound || this.abort.signal.aborted) return;
    const { response, emit } = this.#options;
    emit({ kind: 'transcript', role: 'avatar', text: this.text, final: true, response });
    emit({ kind: 'end', response });
  }

  /** Ends what was spoken so far, after a failure. */
  end(): void {
    if (this.hasSound && !this.abort.signal.aborted) this.#options.emit({ kind: 'end', response: this.response });
  }

  /** Of a sentence whose speech still arrives it is estimated. */
  #durationMs({ text, ms, isComplete }: Sentence): number {
    if (isComplete) return ms;
    const complete = this.#sentences.filter((sentence) => sentence.isComplete);
    const characters = complete.reduce((sum, sentence) => sum + sentence.text.length, 0);
    const spokenMs = complete.reduce((sum, sentence) => sum + sentence.ms, 0);
    return Math.max(ms, text.length * (characters === 0 ? CHARACTER_MS : spokenMs / characters));
  }

  async #speak(text: string): Promise<void> {
    const { tts, voice, emit, response, onFirstSound } = this.#options;
    const { signal } = this.abort;
    if (signal.aborted) return;
    const sentence: Sentence = { text, ms: 0, isComplete: false };
    for await (const pcm of tts.speak({ text, voice, signal })) {
      if (signal.aborted) return;
      if (pcm.length === 0) continue;
      if (sentence.ms === 0) {
        if (!this.hasSound) onFirstSound();
        this.#sentences.push(sentence);
      }
      for (const piece of inPieces(pcm, SPEECH_RATE_HZ)) emit({ kind: 'speech', response, pcm: piece });
      if (sentence.ms === 0) emit({ kind: 'transcript', role: 'avatar', text: this.text, final: false, response });
      sentence.ms += (pcm.length * 1000) / SPEECH_RATE_HZ;
    }
    sentence.isComplete = true;
  }
}
