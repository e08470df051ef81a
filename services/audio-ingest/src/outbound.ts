import { type AudioMessage, type EventBody, encodeAudio } from '@talkmesh/contracts';
import type { Bus } from '@talkmesh/service-kit';

/** What this service says about a session. */
export class Outbound {
  readonly #bus: Bus;
  readonly #sessionId: string;

  constructor(bus: Bus, sessionId: string) {
    this.#bus = bus;
    this.#sessionId = sessionId;
  }

  mic(message: AudioMessage): void {
    this.#bus.publish('mic', this.#sessionId, encodeAudio(message));
  }

  event(body: EventBody, at: { epoch: number; turn: number }): void {
    this.#bus.publishEvent({ ...body, sid: this.#sessionId, epoch: at.epoch, turn: at.turn });
  }
}
