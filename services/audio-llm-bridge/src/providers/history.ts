import type { ToolCall, ToolResult, Utterance } from './provider.js';

export type HistoryEntry =
  | { readonly kind: 'text'; readonly role: Utterance['role']; readonly text: string }
  | { readonly kind: 'call'; readonly call: ToolCall }
  | { readonly kind: 'result'; readonly result: ToolResult };

/** What is kept of a conversation; the oldest entries are dropped first. */
const MAX_ENTRIES = 200;
const MAX_CHARACTERS = 40_000;

interface Spoken {
  readonly kind: 'text';
  readonly id: string;
  readonly role: Utterance['role'];
  text: string;
}
type Kept = Spoken | Exclude<HistoryEntry, { kind: 'text' }>;

/**
 * A conversation as both sides experienced it: of an answer that was cut only what the listener heard. It is replayed to the provider
 * after a reconnection, or sent with every request to a provider that keeps nothing itself.
 */
export class ConversationHistory {
  #kept: Kept[] = [];

  constructor(before: readonly Utterance[] = []) {
    for (const [index, { role, text }] of before.entries())
      this.#keep({ kind: 'text', id: `before-${index}`, role, text });
  }

  get entries(): readonly HistoryEntry[] {
    return this.#kept.filter((entry) => entry.kind !== 'text' || entry.text !== '');
  }

  /** Gives the utterance its place in the conversation before its text is known. */
  reserve(id: string, role: Utterance['role']): void {
    if (this.#find(id) === undefined) this.#keep({ kind: 'text', id, role, text: '' });
  }

  say(id: string, role: Utterance['role'], text: string): void {
    this.reserve(id, role);
    const spoken = this.#find(id);
    if (spoken !== undefined) spoken.text = text.trim();
    this.#shorten();
  }

  /** Keeps the words of an utterance that begin within `share` (0 to 1) of it. */
  cut(id: string, share: number): void {
    const spoken = this.#find(id);
    if (spoken !== undefined) spoken.text = textWithin(spoken.text, share);
  }

  call(call: ToolCall): void {
    this.#keep({ kind: 'call', call });
  }

  result(result: ToolResult): void {
    this.#keep({ kind: 'result', result });
  }

  #find(id: string): Spoken | undefined {
    return this.#kept.find((entry): entry is Spoken => entry.kind === 'text' && entry.id === id);
  }

  #keep(entry: Kept): void {
    this.#kept.push(entry);
    this.#shorten();
  }

  #shorten(): void {
    let characters = this.#kept.reduce((sum, entry) => sum + sizeOf(entry), 0);
    while (this.#kept.length > 1 && (this.#kept.length > MAX_ENTRIES || characters > MAX_CHARACTERS)) {
      const oldest = this.#kept.shift();
      if (oldest !== undefined) characters -= sizeOf(oldest);
    }
    // A result without its call is an error for every provider.
    while (this.#kept[0]?.kind === 'result') this.#kept.shift();
  }
}

function sizeOf(entry: Kept): number {
  if (entry.kind === 'text') return entry.text.length;
  return entry.kind === 'call' ? entry.call.arguments.length : entry.result.output.length;
}

/** The words of a text that begin within `share` (0 to 1) of its characters. */
export function textWithin(text: string, share: number): string {
  const length = Math.floor(text.length * Math.max(0, share));
  if (length >= text.length) return text;
  if (length === 0) return '';
  const end = text.indexOf(' ', length);
  return end < 0 ? text : text.slice(0, end);
}
