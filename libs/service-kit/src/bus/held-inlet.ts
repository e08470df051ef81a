/**
 * Holds incoming messages back until `start`, then delivers them in order of arrival. At a takeover a worker first subscribes, then reads
 * back what NATS retains, and then calls `start`, so that no message in between is lost.
 */
export class HeldInlet {
  #held: (() => void)[] | undefined = [];

  /** @returns a handler that passes messages to `handler`: at once after `start`, and when `start` is called for those before it */
  hold<Args extends readonly unknown[]>(handler: (...args: Args) => void): (...args: Args) => void {
    return (...args) => {
      if (this.#held === undefined) handler(...args);
      else this.#held.push(() => handler(...args));
    };
  }

  /** Delivers the messages that were held back. From now on messages pass at once. */
  start(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const deliver of held) deliver();
  }
}
