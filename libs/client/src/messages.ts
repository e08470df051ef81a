/** Something that a page tells its user. */
export interface Message {
  /** What happened. */
  readonly title: string;
  /** What the user can do. */
  readonly text: string;
  /** The call goes on. */
  readonly mild: boolean;
}

/**
 * The one message that a page has room for. Each source, such as the microphone or the connection, has at most one message. An error is shown
 * before mild messages, a newer one before an older one; when it is withdrawn or dismissed, the next one is shown, so that none hides another for good.
 */
export class Messages<T extends Message = Message> {
  readonly #bySource = new Map<string, T>();
  readonly #onChange: (shown: T | undefined) => void;
  #shown: T | undefined;

  /** @param onChange called with the message to show, whenever it is another one */
  constructor(onChange: (shown: T | undefined) => void) {
    this.#onChange = onChange;
  }

  /** Replaces the message of a source; undefined withdraws it. */
  put(source: string, message: T | undefined): void {
    this.#bySource.delete(source);
    if (message !== undefined) this.#bySource.set(source, message);
    this.#update();
  }

  /** The user has read the message that is shown. */
  dismiss(): void {
    for (const [source, message] of this.#bySource) if (message === this.#shown) this.#bySource.delete(source);
    this.#update();
  }

  #update(): void {
    const newestFirst = [...this.#bySource.values()].reverse();
    const shown = newestFirst.find(({ mild }) => !mild) ?? newestFirst[0];
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#onChange(shown);
  }
}
