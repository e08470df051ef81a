import { type AudioMessage, type EventBody, encodeAudio } from '@talkmesh/contracts';
import { type Bus, type Subscription, waitUntil } from '@talkmesh/service-kit';

/** How often the server is asked whether everything came, milliseconds. */
const CONFIRM_MS = 250;
/** A minute of messages: without NATS for that long the session is somebody else's. */
const MAX_UNCONFIRMED = 3000;

export type Speaking = Pick<Bus, 'publish' | 'publishEvent' | 'flush' | 'onReconnect' | 'losses'>;

/** What this service says about a session. What NATS may not have got before its connection broke is said again when it is back. */
export class Outbound {
  readonly #bus: Speaking;
  readonly #sessionId: string;
  readonly #reconnection: Subscription;
  #unconfirmed: (() => void)[] = [];
  #confirmation: NodeJS.Timeout | undefined;
  /** Losses of the connection after which everything was said again. */
  #losses: number;
  #closed = false;

  constructor(bus: Speaking, sessionId: string) {
    this.#bus = bus;
    this.#sessionId = sessionId;
    this.#losses = bus.losses;
    this.#reconnection = bus.onReconnect(() => this.#again());
  }

  /** What is said now waits until NATS is back. */
  get broken(): boolean {
    return this.#bus.losses !== this.#losses;
  }

  mic(message: AudioMessage): void {
    const payload = encodeAudio(message);
    this.#say(() => this.#bus.publish('mic', this.#sessionId, payload));
  }

  event(body: EventBody, at: { epoch: number; turn: number }): void {
    this.#say(() => this.#bus.publishEvent({ ...body, sid: this.#sessionId, epoch: at.epoch, turn: at.turn }));
  }

  /** Settles when NATS is there. @throws the signal's reason */
  async reachable(signal: AbortSignal): Promise<void> {
    if (this.broken) await waitUntil(() => !this.broken, Number.POSITIVE_INFINITY, signal);
    signal.throwIfAborted();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#confirmation);
    this.#reconnection.unsubscribe();
  }

  #say(publish: () => void): void {
    if (this.#closed) return;
    this.#unconfirmed.push(publish);
    if (this.#unconfirmed.length > MAX_UNCONFIRMED) this.#unconfirmed.shift();
    if (!this.broken) publish();
    this.#confirmation ??= setTimeout(() => void this.#confirm(), CONFIRM_MS);
  }

  async #confirm(): Promise<void> {
    const { losses } = this.#bus;
    const said = new Set(this.#unconfirmed);
    const arrived = await this.#bus.flush().then(
      () => !this.broken && losses === this.#bus.losses,
      () => false,
    );
    if (arrived) this.#unconfirmed = this.#unconfirmed.filter((publish) => !said.has(publish));
    this.#confirmation = undefined;
    if (this.#unconfirmed.length > 0 && !this.#closed)
      this.#confirmation = setTimeout(() => void this.#confirm(), CONFIRM_MS);
  }

  /** In order, before anything new: whoever listens drops what comes twice. */
  #again(): void {
    this.#losses = this.#bus.losses;
    for (const publish of this.#unconfirmed) publish();
  }
}
