import type { Dated, OnReadBack, RetainedReader } from '@talkmesh/chunk-worker';
import type { AudioMessage, MeshEvent } from '@talkmesh/contracts';
import type { Bus } from '@talkmesh/service-kit';
import { decodeSpeech } from './inbound.js';
import type { Retained } from './takeover-plan.js';

/** Reads back what NATS retains of sessions, each stream within `deadlineMs`. A stream that cannot be read counts as empty and is logged. */
export class RetainedSession {
  readonly #bus: Bus;
  readonly #reader: RetainedReader;
  readonly #within: { readonly deadlineMs: number };
  readonly #onSpeech: OnReadBack<AudioMessage>;

  constructor(bus: Bus, reader: RetainedReader, deadlineMs: number, onSpeech: OnReadBack<AudioMessage>) {
    this.#bus = bus;
    this.#reader = reader;
    this.#within = { deadlineMs };
    this.#onSpeech = onSpeech;
  }

  async session(sessionId: string): Promise<Retained> {
    const [latents, events, speech, playhead] = await Promise.all([
      this.#reader.latents(sessionId, this.#bus.readBack('latent', sessionId, this.#within)),
      this.events(sessionId),
      this.#speech(sessionId),
      this.#reader.playhead(sessionId, this.#bus.readBack('playhead', sessionId, this.#within)),
    ]);
    return { latents, events, speech, playhead };
  }

  events(sessionId: string): Promise<Dated<MeshEvent>[]> {
    return this.#reader.events(sessionId, this.#bus.readBack('event', sessionId, this.#within));
  }

  async speech(sessionId: string): Promise<AudioMessage[]> {
    return (await this.#speech(sessionId)).map(({ message }) => message);
  }

  #speech(sessionId: string): Promise<Dated<AudioMessage>[]> {
    const retained = this.#bus.readBack('speech', sessionId, this.#within);
    return this.#reader.read('speech', sessionId, retained, decodeSpeech, this.#onSpeech);
  }
}
