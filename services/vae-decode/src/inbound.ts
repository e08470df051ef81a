import { type ChunkGeometry, decodeLatent, LatentAssembler, type LatentMessage, MeshError } from '@talkmesh/contracts';
import type { Bus } from '@talkmesh/service-kit';

export interface InboundHandlers {
  onLatent(message: LatentMessage): void;
  onFlush(epoch: number, fromChunk: number): void;
  /** The egress may have missed frames. */
  onMissed(): void;
}

/** Listens to a session's latents, joined from their parts, and flushes. @returns the end of listening */
export function listen(bus: Bus, sessionId: string, geometry: ChunkGeometry, handlers: InboundHandlers): () => void {
  const assembler = new LatentAssembler();
  const latents = bus.subscribe('latent', sessionId, (payload) => {
    const message = assembler.push(decodeLatent(payload));
    if (message === undefined) return;
    assertFits(message, sessionId, geometry);
    handlers.onLatent(message);
  });
  const events = bus.subscribeEvents(sessionId, (event) => {
    if (event.type === 'flush') handlers.onFlush(event.epoch, event.fromChunk);
    else if (event.type === 'frames.missed') handlers.onMissed();
  });
  return () => {
    latents.unsubscribe();
    events.unsubscribe();
  };
}

function assertFits({ sessionId, values, pcm, held }: LatentMessage, expected: string, geometry: ChunkGeometry): void {
  if (sessionId !== expected) throw new MeshError('MESSAGE_MALFORMED', "the chunk's session is not its subject's");
  if ((!held && values.length !== geometry.latentValues) || pcm.length !== geometry.samplesPerChunk)
    throw new MeshError(
      'MESSAGE_MALFORMED',
      `a chunk has ${geometry.latentValues} latents and ${geometry.samplesPerChunk} samples, not ${values.length} and ${pcm.length}: do both services serve the same model?`,
    );
}

/** Whether a retained chunk is one of this model; after a change of model it is not. */
export function fits(message: LatentMessage, sessionId: string, geometry: ChunkGeometry): boolean {
  try {
    assertFits(message, sessionId, geometry);
    return true;
  } catch {
    return false;
  }
}

/** What one session hears. It listens from the beginning, and hands on from `start`: what came meanwhile first. */
export class SessionInlet {
  readonly #unlisten: () => void;
  #pending: (() => void)[] | undefined = [];

  constructor(bus: Bus, sessionId: string, geometry: ChunkGeometry, handlers: InboundHandlers) {
    const later = (act: () => void): void => {
      if (this.#pending === undefined) act();
      else this.#pending.push(act);
    };
    this.#unlisten = listen(bus, sessionId, geometry, {
      onLatent: (message) => later(() => handlers.onLatent(message)),
      onFlush: (epoch, fromChunk) => later(() => handlers.onFlush(epoch, fromChunk)),
      onMissed: () => later(() => handlers.onMissed()),
    });
  }

  start(): void {
    const pending = this.#pending ?? [];
    this.#pending = undefined;
    for (const act of pending) act();
  }

  close(): void {
    this.#unlisten();
  }
}
