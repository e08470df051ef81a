import type { CallEvent } from '@talkmesh/client';

export interface Line {
  readonly role: 'user' | 'avatar' | 'note';
  text: string;
  readonly turn: number;
  /** Still being said. */
  open: boolean;
  /** Interrupted before its end. */
  cut: boolean;
}

const MAX_LINES = 200;

/** What was said in a call, from its events: partial transcripts grow, final ones stand. */
export class Transcript {
  readonly lines: Line[] = [];

  /** @returns whether anything changed */
  apply(event: CallEvent): boolean {
    if (event.type === 'transcript') return this.speak(event.role, event.turn, event.text, event.final);
    if (event.type !== 'turn.finished') return false;
    const line = this.lines.findLast(({ role, turn }) => role === 'avatar' && turn === event.turn);
    if (line === undefined || (line.cut === event.interrupted && !line.open)) return false;
    line.cut = event.interrupted;
    line.open = false;
    return true;
  }

  /** What the page itself has to say, or a line that was typed. */
  add(role: Line['role'], text: string): void {
    this.push({ role, text, turn: -1, open: false, cut: false });
  }

  clear(): void {
    this.lines.length = 0;
  }

  private speak(role: 'user' | 'avatar', turn: number, text: string, final: boolean): boolean {
    if (text.trim() === '') return false;
    const open = this.lines.findLast((line) => line.role === role && line.turn === turn && line.open);
    if (open === undefined) this.push({ role, text, turn, open: !final, cut: false });
    else {
      open.text = text;
      open.open = !final;
    }
    return true;
  }

  private push(line: Line): void {
    this.lines.push(line);
    if (this.lines.length > MAX_LINES) this.lines.shift();
  }
}
