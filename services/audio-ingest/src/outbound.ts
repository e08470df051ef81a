import { type AudioMessage, type EventBody, encodeAudio, type Ledger } from '@talkmesh/contracts';
import { type Bus, type Subscription, waitUntil } from '@talkmesh/service-kit';

/** Interval of the flush that confirms that NATS received everything published, milliseconds. */
const CONFIRM_MS = 250;
/** One minute of messages. After that long without NATS the gateway has moved the session to another worker. */
const MAX_UNCONFIRMED = 3000;

export type IngestBus = Pick<Bus, 'publish' | 'publishEvent' | 'flush' | 'onReconnect' | 'losses'>;

/** Publishes the messages and events of a session. Those that NATS has not confirmed when its connection is lost are republished after the reconnect. */
export class Outbound {
  readonly #bus: IngestBus;
  readonly #sessionId: string;
  readonly #reconnection: Subscription;
  #unconfirmed: (() => void)[] = [];
  #confirmation: NodeJS.Timeout | undefined;
  /** Value of `bus.losses` (lost connections) up to which everything was republished. */
  #losses: number;
  #closed = false;

  constructor(bus: IngestBus, sessionId: string) {
    this.#bus = bus;
    this.#sessionId = sessionId;
    this.#losses = bus.losses;
    this.#reconnection = bus.onReconnect(() => this.#republish());
  }

  /** True while NATS is unreachable: messages wait for the reconnect. */
  get broken(): boolean {
    return this.#bus.losses !== this.#losses;
  }

  mic(message: AudioMessage): void {
    const payload = encodeAudio(message);
    this.#publish(() => this.#bus.publish('mic', this.#sessionId, payload));
  }

  event(body: EventBody, at: { epoch: number; turn: number }, ledger?: Ledger): void {
    const event = { ...body, sessionId: this.#sessionId, epoch: at.epoch, turn: at.turn };
    this.#publish(() => this.#bus.publishEvent(event, ledger));
  }

  /** Resolves when NATS is reachable. @throws the signal's reason */
  async reachable(signal: AbortSignal): Promise<void> {
    if (this.broken) await waitUntil(() => !this.broken, Number.POSITIVE_INFINITY, signal);
    signal.throwIfAborted();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#confirmation);
    this.#reconnection.unsubscribe();
  }

  #publish(publish: () => void): void {
    if (this.#closed) return;
    this.#unconfirmed.push(publish);
    if (this.#unconfirmed.length > MAX_UNCONFIRMED) this.#unconfirmed.shift();
    if (!this.broken) publish();
    this.#confirmation ??= setTimeout(() => void this.#confirm(), CONFIRM_MS);
  }

  async #confirm(): Promise<void> {
    const { losses } = this.#bus;
    const published = new Set(this.#unconfirmed);
    const arrived = await this.#bus.flush().then(
      () => !this.broken && losses === this.#bus.losses,
      () => false,
    );
    if (arrived) this.#unconfirmed = this.#unconfirmed.filter((publish) => !published.has(publish));
    this.#confirmation = undefined;
    if (this.#unconfirmed.length > 0 && !this.#closed)
      this.#confirmation = setTimeout(() => void this.#confirm(), CONFIRM_MS);
  }

  /** Keeps the order and precedes anything new; subscribers drop duplicates. */
  #republish(): void {
    this.#losses = this.#bus.losses;
    for (const publish of this.#unconfirmed) publish();
  }
}
