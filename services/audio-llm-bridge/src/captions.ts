/** Longest phrase that is shown at once, characters. */
const MAX_PHRASE = 84;
/** Duration of a character of speech while the turn's real duration is not known yet, milliseconds. */
const CHARACTER_MS = 65;

export interface Caption {
  readonly text: string;
  /** Milliseconds from the turn's first sample to the phrase's first one. */
  readonly fromMs: number;
}

/**
 * The transcript of one turn as phrases that appear when they are heard. Providers rarely give the time of a word, so a phrase takes its
 * share of the turn in proportion to its characters.
 */
export class Captions {
  /** Segments that the provider has closed. */
  #closed = '';
  /** The segment that still grows. */
  #open = '';
  /** Characters of the transcript that were shown. */
  #shown = 0;

  /** Captions of a turn whose earlier part, up to and with `lastCaption`, was already shown. */
  static after(text: string, lastCaption: string): Captions {
    const captions = new Captions();
    captions.add(text, true);
    const at = lastCaption === '' ? -1 : captions.text.lastIndexOf(lastCaption);
    if (at >= 0) captions.#shown = at + lastCaption.length;
    return captions;
  }

  get text(): string {
    return joined(this.#closed, this.#open);
  }

  /** A partial transcript replaces the open segment; a final one closes it. */
  add(text: string, final: boolean): void {
    const plain = text.replace(/\s+/gu, ' ').trim();
    if (final) this.#closed = joined(this.#closed, plain);
    this.#open = final ? '' : plain;
  }

  /** The phrases that begin to be heard up to `playedMs`, each returned once. `isComplete`: whether `acceptedMs` is the whole turn. */
  heard(playedMs: number, acceptedMs: number, isComplete: boolean): Caption[] {
    const { text } = this;
    const characterMs = this.#characterMs(acceptedMs, isComplete);
    const captions: Caption[] = [];
    while (this.#shown < text.length && playedMs > 0 && playedMs >= this.#shown * characterMs) {
      const phrase = phraseAt(text, this.#shown);
      captions.push({ text: phrase.trim(), fromMs: Math.round(this.#shown * characterMs) });
      this.#shown += phrase.length;
    }
    return captions;
  }

  /** The transcript up to the last word that began within `playedMs`. */
  heardText(playedMs: number, acceptedMs: number, isComplete: boolean): string {
    const { text } = this;
    const length = playedMs / this.#characterMs(acceptedMs, isComplete);
    if (length >= text.length) return text;
    const end = text.indexOf(' ', Math.floor(length));
    return end < 0 ? text : text.slice(0, end);
  }

  #characterMs(acceptedMs: number, isComplete: boolean): number {
    const characterMs = acceptedMs / Math.max(1, this.text.length);
    return isComplete ? characterMs : Math.max(CHARACTER_MS, characterMs);
  }
}

const joined = (a: string, b: string): string => (a === '' || b === '' ? a + b : `${a} ${b}`);

/** The text from `start` to the end of a sentence or clause, or to the last word that fits. */
function phraseAt(text: string, start: number): string {
  const rest = text.slice(start, start + MAX_PHRASE);
  const clause = /^.{12,}?(?:[.!?;:,](?=\s|$)|[\u3001\u3002\uff0c\uff01\uff1f])/u.exec(rest);
  if (clause !== null) return clause[0];
  if (start + MAX_PHRASE >= text.length) return rest;
  const space = rest.lastIndexOf(' ');
  return space > 0 ? rest.slice(0, space) : rest;
}
