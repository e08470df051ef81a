/** A report about an utterance, as the program gets it. */
export type UtteranceReport =
  | { readonly type: 'started'; readonly utterance: number }
  | {
      readonly type: 'finished';
      readonly utterance: number;
      /** Null: the worker that knew it was lost. */
      readonly positionMs: number | null;
      readonly interrupted: boolean;
    };

export interface WorkerState {
  /** It had speech of this session before. */
  readonly resumed: boolean;
  readonly utterances: number;
  readonly isOpen: boolean;
  /** Those whose report is still to come. */
  readonly unfinished: readonly number[];
}

/**
 * Numbers the utterances of one program as the worker does, so that each is reported once and in order, even when the worker that had them
 * is lost. It has no I/O.
 */
export class Utterances {
  readonly #report: (report: UtteranceReport) => void;
  #count = 0;
  #isAttached = false;
  #isOpen = false;
  /** The open utterance was cut; the rest of it is dropped. */
  #isDropping = false;
  #unfinished: number[] = [];
  /** Of the unfinished ones: those that the worker before had. The first of them may still be spoken. */
  #lost = 0;
  /** Of the unfinished ones: those that the worker does not have, because the stream to it broke. */
  #unsent = new Set<number>();

  constructor(report: (report: UtteranceReport) => void) {
    this.#report = report;
  }

  /** Begun so far. */
  get count(): number {
    return this.#count;
  }

  /** A worker takes the speech. @returns whether it has to clear it: what the broken stream carried is unknown */
  attached({ resumed, utterances, isOpen, unfinished }: WorkerState): boolean {
    const isFirst = !this.#isAttached;
    const wasOpen = this.#isOpen;
    this.#isAttached = true;
    if (isFirst) {
      this.#count = utterances;
      this.#isOpen = isOpen;
      this.#unfinished = [...unfinished];
      return false;
    }
    this.#isDropping = wasOpen;
    this.#lost = resumed ? 0 : this.#unfinished.length;
    this.#unsent = new Set(resumed ? this.#unfinished.filter((utterance) => !unfinished.includes(utterance)) : []);
    this.#giveUpUnsent();
    return resumed && (wasOpen || isOpen);
  }

  /** @returns false when the audio belongs to an utterance that was cut */
  audio(): boolean {
    if (this.#isDropping) return false;
    if (!this.#isOpen) this.#unfinished.push(++this.#count);
    this.#isOpen = true;
    return true;
  }

  /** The open utterance is complete, or cleared. */
  close(): void {
    this.#isOpen = false;
    this.#isDropping = false;
  }

  started(utterance: number): void {
    this.#giveUp((other) => other < utterance);
    this.#report({ type: 'started', utterance });
  }

  /** @param utterance 0: the one that the worker before was speaking */
  finished(utterance: number, positionMs: number, interrupted: boolean): void {
    if (utterance === 0) {
      const [head] = this.#unfinished;
      if (this.#lost === 0 || head === undefined) return;
      this.#finish(head, positionMs, interrupted);
      this.#giveUp(() => this.#lost > 0);
      return;
    }
    this.#giveUp((other) => other < utterance);
    // After a long pause the worker counts it as complete; what follows is another one.
    if (utterance === this.#count && !interrupted) this.#isOpen = false;
    this.#finish(utterance, positionMs, interrupted);
  }

  /** Workers report in order, so of what comes before a report nothing more will be known. */
  #giveUp(isLost: (utterance: number) => boolean): void {
    for (let head = this.#unfinished[0]; head !== undefined && isLost(head); head = this.#unfinished[0])
      this.#finish(head, null, true);
  }

  #finish(utterance: number, positionMs: number | null, interrupted: boolean): void {
    // One that was finished while the program was away is not among them.
    if (this.#unfinished[0] === utterance) this.#unfinished.shift();
    this.#lost = Math.max(0, this.#lost - 1);
    this.#report({ type: 'finished', utterance, positionMs, interrupted });
    this.#giveUpUnsent();
  }

  #giveUpUnsent(): void {
    const [head] = this.#unfinished;
    if (head !== undefined && this.#unsent.delete(head)) this.#finish(head, null, true);
  }
}
