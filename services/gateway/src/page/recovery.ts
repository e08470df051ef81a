import type { CallEvent } from '@talkmesh/client';

/** What was played ahead covers a gap of this length: nobody sees it, so nothing is said, milliseconds. */
const UNSEEN_MS = 1000;

/** Says that a call is waiting for another machine, only when the wait can be seen, and takes it back when it is over. */
export class RecoveryNotice {
  private readonly say: (waiting: boolean) => void;
  private readonly afterMs: number;
  private readonly waiting = new Map<string, ReturnType<typeof setTimeout>>();
  private said = false;

  constructor(say: (waiting: boolean) => void, afterMs = UNSEEN_MS) {
    this.say = say;
    this.afterMs = afterMs;
  }

  apply(event: CallEvent): void {
    if (event.type === 'stage.recovering' && !this.waiting.has(event.service))
      this.waiting.set(
        event.service,
        setTimeout(() => this.tell(true), this.afterMs),
      );
    else if (event.type === 'stage.moved') this.settle(event.service);
    else if (event.type === 'session.ended') this.clear();
  }

  /** The call is over. */
  clear(): void {
    for (const service of [...this.waiting.keys()]) this.settle(service);
  }

  private settle(service: string): void {
    clearTimeout(this.waiting.get(service));
    this.waiting.delete(service);
    if (this.waiting.size === 0) this.tell(false);
  }

  private tell(waiting: boolean): void {
    if (this.said === waiting) return;
    this.said = waiting;
    this.say(waiting);
  }
}
