/** A provider that has not begun to answer by then answers no more, milliseconds. */
const LONGEST_WAIT_MS = 30_000;

/** Whether the provider is to answer what the user said, and which answer is unwanted, because it was interrupted before its first sound. Pure. */
export class AwaitedAnswer {
  #askedAtMs: number | undefined;
  #isUnwanted = false;
  #dropped: string | undefined;

  asked(nowMs: number): void {
    this.#askedAtMs = nowMs;
    this.#isUnwanted = false;
  }

  /** The user goes on, or the provider failed. */
  over(): void {
    this.#askedAtMs = undefined;
    this.#isUnwanted = false;
  }

  /** @returns whether an answer was awaited, which is unwanted now */
  giveUp(nowMs: number): boolean {
    if (this.#askedAtMs === undefined) return false;
    this.#isUnwanted = nowMs - this.#askedAtMs < LONGEST_WAIT_MS;
    this.#askedAtMs = undefined;
    return this.#isUnwanted;
  }

  /** The first sound of a response. @returns whether it is unwanted */
  began(response: string): boolean {
    if (this.#isUnwanted) this.#dropped = response;
    const isUnwanted = this.#isUnwanted;
    this.over();
    return isUnwanted;
  }

  /** Whether words of this response, which has no turn, are unwanted. */
  drops(response: string | undefined): boolean {
    return this.#isUnwanted || (response !== undefined && response === this.#dropped);
  }
}
