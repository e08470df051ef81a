import type { OnReadBack, RetainedReader } from '@talkmesh/chunk-worker';
import type { ChunkGeometry, LatentMessage } from '@talkmesh/contracts';
import type { Bus } from '@talkmesh/service-kit';
import { fits } from './inbound.js';
import type { Retained } from './takeover-plan.js';

/** Reads back what NATS retains of sessions, each stream within `deadlineMs`. A stream that cannot be read counts as empty and is logged. */
export class RetainedSession {
  readonly #bus: Bus;
  readonly #reader: RetainedReader;
  readonly #within: { readonly deadlineMs: number };
  readonly #geometry: ChunkGeometry;

  readonly #onLatent: OnReadBack<LatentMessage>;

  constructor(
    bus: Bus,
    reader: RetainedReader,
    deadlineMs: number,
    geometry: ChunkGeometry,
    onLatent: OnReadBack<LatentMessage>,
  ) {
    this.#bus = bus;
    this.#reader = reader;
    this.#within = { deadlineMs };
    this.#geometry = geometry;
    this.#onLatent = onLatent;
  }

  async session(sessionId: string): Promise<Retained> {
    const [latents, events, playhead] = await Promise.all([
      this.#reader.latents(sessionId, this.#bus.readBack('latent', sessionId, this.#within), this.#onLatent),
      this.#reader.events(sessionId, this.#bus.readBack('event', sessionId, this.#within)),
      this.#reader.playhead(sessionId, this.#bus.readBack('playhead', sessionId, this.#within)),
    ]);
    return {
      latents: latents.filter((message) => fits(message, sessionId, this.#geometry)),
      events: events.map(({ message }) => message),
      playhead: playhead?.message,
    };
  }
}
