import type { ConversationHistory } from './history.js';
import { PcmDecoder } from './pcm-decoder.js';
import type { Cut, ProviderOutput } from './provider.js';

/** One message of an answer; most answers have one. */
interface Item {
  readonly id: string;
  readonly contentIndex: number;
  /** Whether the server named it, so that it can be truncated there. */
  readonly isNamed: boolean;
  receivedMs: number;
  text: string;
  isTextFinal: boolean;
  /** Characters of the text that were emitted as a partial transcript. */
  emitted: number;
}

/** One response of the server. */
export interface Answer {
  readonly id: string;
  readonly isNamed: boolean;
  readonly items: Item[];
  readonly decoder: PcmDecoder;
  done: boolean;
  /** Whether the listener interrupted it. */
  cut: boolean;
}

/** Where an answer's items are to be cut on the server. */
export interface ItemCut {
  readonly id: string;
  readonly contentIndex: number;
  /** Milliseconds of the item to keep; 0: nothing of it was heard. */
  readonly keepMs: number;
}

const MAX_ANSWERS = 32;
/** Time of a character of speech while the duration of an item is not known yet, milliseconds. */
const CHARACTER_MS = 65;
const SENTENCE_END = /[.!?\u3002\uff01\uff1f][)\]"'\u201d\u2019]*\s/gu;

/** What was received of the newest answers: how much audio of each item, and their words. */
export class Answers {
  readonly #history: ConversationHistory;
  readonly #emit: (output: ProviderOutput) => void;
  readonly #answers = new Map<string, Answer>();
  #unnamed = 0;

  constructor(history: ConversationHistory, emit: (output: ProviderOutput) => void) {
    this.#history = history;
    this.#emit = emit;
  }

  /** The answer with this id; without an id the one that runs, or a new one. */
  of(id: string | undefined): Answer {
    const running = [...this.#answers.values()].findLast(({ done }) => !done);
    const known = id === undefined ? running : this.#answers.get(id);
    if (known !== undefined) return known;
    this.#unnamed += id === undefined ? 1 : 0;
    const answer: Answer = {
      id: id ?? `answer-${this.#unnamed}`,
      isNamed: id !== undefined,
      ...{ items: [], decoder: new PcmDecoder(), done: false, cut: false },
    };
    this.#answers.set(answer.id, answer);
    const [oldest] = this.#answers.keys();
    if (this.#answers.size > MAX_ANSWERS && oldest !== undefined) this.#answers.delete(oldest);
    return answer;
  }

  find(id: string): Answer | undefined {
    return this.#answers.get(id);
  }

  get running(): readonly Answer[] {
    return [...this.#answers.values()].filter(({ done }) => !done);
  }

  received(answer: Answer, itemId: string | undefined, contentIndex: number, ms: number): void {
    const item = this.#itemOf(answer, itemId, contentIndex);
    item.receivedMs += ms;
    this.#emitText(answer, item);
  }

  text(answer: Answer, itemId: string | undefined, text: string, done: boolean): void {
    if (answer.cut) return;
    const item = this.#itemOf(answer, itemId, 0);
    item.text = done ? text || item.text : item.text + text;
    this.#history.say(item.id, 'avatar', item.text);
    if (done) this.#finishText(answer, item);
    else this.#emitText(answer, item);
  }

  /** Emits what is left of the transcripts. */
  finish(answer: Answer): void {
    answer.done = true;
    for (const item of answer.items) if (!answer.cut) this.#finishText(answer, item);
  }

  /** Keeps of the history what was heard. @returns what to cut on the server, never beyond the audio that was received */
  cut(answer: Answer, { playedMs }: Cut): ItemCut[] {
    const cuts: ItemCut[] = [];
    let leftMs = Math.max(0, playedMs);
    for (const [index, item] of answer.items.entries()) {
      const isLast = index === answer.items.length - 1;
      const keepMs = Math.floor(Math.min(leftMs, item.receivedMs));
      const isWhole = leftMs >= item.receivedMs && (!isLast || answer.done);
      leftMs -= keepMs;
      if (isWhole || item.receivedMs === 0) continue;
      const durationMs = answer.done ? item.receivedMs : Math.max(item.receivedMs, item.text.length * CHARACTER_MS);
      this.#history.cut(item.id, keepMs / durationMs);
      if (item.isNamed) cuts.push({ id: item.id, contentIndex: item.contentIndex, keepMs });
    }
    answer.cut = true;
    return cuts;
  }

  #itemOf(answer: Answer, id: string | undefined, contentIndex: number): Item {
    const wanted = id ?? answer.items.at(-1)?.id ?? answer.id;
    const known = answer.items.find((item) => item.id === wanted);
    if (known !== undefined) return known;
    const isNamed = id !== undefined;
    const item: Item = { id: wanted, contentIndex, isNamed, receivedMs: 0, text: '', isTextFinal: false, emitted: 0 };
    answer.items.push(item);
    this.#history.reserve(wanted, 'avatar');
    return item;
  }

  /** Emits a partial transcript at the end of each sentence. Before the first audio the bridge does not know the turn yet. */
  #emitText(answer: Answer, item: Item): void {
    if (item.receivedMs === 0 || item.isTextFinal) return;
    const last = [...item.text.slice(item.emitted).matchAll(SENTENCE_END)].at(-1);
    if (last === undefined) return;
    const end = item.emitted + last.index + last[0].length;
    item.emitted = end;
    const text = item.text.slice(0, end).trim();
    this.#emit({ kind: 'transcript', role: 'avatar', text, final: false, response: answer.id });
  }

  #finishText(answer: Answer, item: Item): void {
    const text = item.text.trim();
    if (item.isTextFinal || text === '' || (item.receivedMs === 0 && !answer.done)) return;
    item.isTextFinal = true;
    this.#emit({ kind: 'transcript', role: 'avatar', text, final: true, response: answer.id });
  }
}
