/** A sentence this short is joined with the next one: a synthesiser speaks single words without melody. */
const SHORTEST_SENTENCE = 16;
/** A text without an end of sentence is cut at a word after this many characters. */
const LONGEST_SENTENCE = 240;
/** An end of sentence. Between Latin letters white space has to follow, so that 3.5 and example.com stay whole. */
const END = /[.!?…]+["'”’)\]]*(?=\s)|[。！？]+|\n+/gu;

/** Divides a text that still grows into sentences, each as soon as its end is known. */
export class SentenceSplitter {
  #text = '';

  /** @returns the sentences that are complete now */
  push(text: string): string[] {
    this.#text += text;
    const sentences: string[] = [];
    for (let end = this.#nextEnd(); end > 0; end = this.#nextEnd()) {
      const sentence = this.#text.slice(0, end).trim();
      this.#text = this.#text.slice(end);
      if (sentence !== '') sentences.push(sentence);
    }
    return sentences;
  }

  /** @returns the rest of the text; empty when there is none */
  flush(): string {
    const rest = this.#text.trim();
    this.#text = '';
    return rest;
  }

  #nextEnd(): number {
    for (const match of this.#text.matchAll(END)) {
      const end = match.index + match[0].length;
      if (this.#text.slice(0, end).trim().length >= SHORTEST_SENTENCE) return end;
    }
    if (this.#text.length <= LONGEST_SENTENCE) return 0;
    const space = this.#text.lastIndexOf(' ', LONGEST_SENTENCE);
    return space > 0 ? space : LONGEST_SENTENCE;
  }
}
