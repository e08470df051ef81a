import type { CallEvent } from './types.js';

/** One line of a call's transcript. */
export interface Line {
  /** `note`: of the program, neither side said it. */
  readonly role: 'user' | 'avatar' | 'note';
  text: string;
  readonly turn: number;
  /** The text may still grow. */
  open: boolean;
  /** The turn was interrupted before its end. */
  cut: boolean;
}

const MAX_LINES = 200;

/**
 * The lines of a call, from its events. A partial transcript replaces the text of the open line; a final one closes it. A line of the
 * avatar appears when its turn begins to be heard, and keeps only what was heard of it.
 */
export class Transcript {
  readonly lines: Line[] = [];
  /** Lines of turns that are not heard yet. */
  #waiting: Line[] = [];
  /** The newest turn that was heard. */
  #heard = 0;

  /** @returns whether anything changed */
  apply(event: CallEvent): boolean {
    const { type, turn } = event;
    if (type === 'transcript') return this.#applyTranscript(event.role, turn, event.text, event.final);
    if (type === 'turn.started') return this.#show(turn);
    if (type === 'session.snapshot')
      return event.progress.turns.filter(({ audible }) => audible).some((known) => this.#show(known.turn));
    if (type === 'turn.cancelled') this.#waiting = this.#waiting.filter((line) => line.turn !== turn);
    if (type !== 'turn.finished') return false;
    const line = this.lines.findLast((shown) => shown.role === 'avatar' && shown.turn === turn);
    if (line === undefined || (line.cut === event.interrupted && !line.open)) return false;
    if (event.interrupted && event.heardText !== undefined) line.text = event.heardText;
    line.cut = event.interrupted;
    line.open = false;
    return true;
  }

  /** Adds a note of the program, or a line that the user typed. */
  add(role: Line['role'], text: string): Line {
    const line = { role, text, turn: -1, open: false, cut: false };
    this.#push(line);
    return line;
  }

  /** Takes back a line that was added. */
  remove(line: Line): void {
    const index = this.lines.indexOf(line);
    if (index >= 0) this.lines.splice(index, 1);
  }

  clear(): void {
    this.lines.length = 0;
    this.#waiting = [];
    this.#heard = 0;
  }

  #show(turn: number): boolean {
    this.#heard = Math.max(this.#heard, turn);
    const heard = this.#waiting.filter((line) => line.turn === turn);
    this.#waiting = this.#waiting.filter((line) => line.turn !== turn);
    for (const line of heard) this.#push(line);
    return heard.length > 0;
  }

  #applyTranscript(role: 'user' | 'avatar', turn: number, text: string, final: boolean): boolean {
    if (text.trim() === '') return false;
    const isHeard = role === 'user' || turn <= this.#heard;
    const among = isHeard ? this.lines : this.#waiting;
    const open = among.findLast((line) => line.role === role && line.turn === turn && line.open);
    if (open !== undefined) {
      open.text = text;
      open.open = !final;
    } else {
      const line = { role, text, turn, open: !final, cut: false };
      if (isHeard) this.#push(line);
      else this.#waiting.push(line);
    }
    return isHeard;
  }

  #push(line: Line): void {
    this.lines.push(line);
    if (this.lines.length > MAX_LINES) this.lines.shift();
  }
}
