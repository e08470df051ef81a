import {
  type AudioMessage,
  type EventBody,
  encodeAudio,
  encodePlayhead,
  type Ledger,
  type PlayheadMessage,
} from '@talkmesh/contracts';
import type { Bus } from '@talkmesh/service-kit';

export class Outbound {
  readonly #bus: Bus;
  readonly #sessionId: string;

  constructor(bus: Bus, sessionId: string) {
    this.#bus = bus;
    this.#sessionId = sessionId;
  }

  playhead(message: PlayheadMessage, ledger?: Ledger): void {
    this.#bus.publish('playhead', this.#sessionId, encodePlayhead(message), ledger);
  }

  /** Speech of an agent, on its way to the bridge. */
  mic(message: AudioMessage): void {
    this.#bus.publish('mic', this.#sessionId, encodeAudio(message));
  }

  event(body: EventBody, at: { epoch: number; turn: number }): void {
    this.#bus.publishEvent({ ...body, sessionId: this.#sessionId, epoch: at.epoch, turn: at.turn });
  }
}
