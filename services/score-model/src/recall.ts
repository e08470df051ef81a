import type { AudioMessage, MeshEvent } from '@talkmesh/contracts';
import type { Bus, Dated, RetainedReader } from '@talkmesh/service-kit';
import { decodeSpeech } from './inbound.js';
import type { Retained } from './resume.js';

/** Reads back what NATS retains of sessions, each read within `deadlineMs`; what cannot be had is left out and told. */
export class Recall {
  readonly #bus: Bus;
  readonly #reader: RetainedReader;
  readonly #within: { readonly deadlineMs: number };

  constructor(bus: Bus, reader: RetainedReader, deadlineMs: number) {
    this.#bus = bus;
    this.#reader = reader;
    this.#within = { deadlineMs };
  }

  async session(sessionId: string): Promise<Retained> {
    const [latents, events, speech, playhead] = await Promise.all([
      this.#reader.latents(sessionId, this.#bus.recall('latent', sessionId, this.#within)),
      this.events(sessionId),
      this.#speech(sessionId),
      this.#reader.playhead(sessionId, this.#bus.recall('playhead', sessionId, this.#within)),
    ]);
    return { latents, events, speech, playhead };
  }

  events(sessionId: string): Promise<Dated<MeshEvent>[]> {
    return this.#reader.events(sessionId, this.#bus.recall('event', sessionId, this.#within));
  }

  async speech(sessionId: string): Promise<AudioMessage[]> {
    return (await this.#speech(sessionId)).map(({ message }) => message);
  }

  #speech(sessionId: string): Promise<Dated<AudioMessage>[]> {
    return this.#reader.read('speech', sessionId, this.#bus.recall('speech', sessionId, this.#within), decodeSpeech);
  }
}
