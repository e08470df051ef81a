import {
  CHUNK_LENGTH_SETTING,
  type ChunkGeometry,
  decodeLatent,
  LatentAssembler,
  type LatentMessage,
  MeshError,
} from '@talkmesh/contracts';
import { type Bus, HeldInlet, type Trail, trailOf } from '@talkmesh/service-kit';

export interface InboundHandlers {
  onLatent(message: LatentMessage, trail: Trail): void;
  onFlush(epoch: number, fromChunk: number): void;
  /** The egress was disconnected from NATS and may have missed frames. */
  onFramesMissed(): void;
}

/** Subscribes to a session's latents, joined from their parts, and its flushes. @returns ends the subscriptions */
export function listen(bus: Bus, sessionId: string, geometry: ChunkGeometry, handlers: InboundHandlers): () => void {
  const assembler = new LatentAssembler();
  const latents = bus.subscribe('latent', sessionId, (payload, meta) => {
    const message = assembler.push(decodeLatent(payload));
    if (message === undefined) return;
    assertFits(message, sessionId, geometry);
    handlers.onLatent(message, trailOf(meta));
  });
  const events = bus.subscribeEvents(sessionId, (event) => {
    if (event.type === 'flush') handlers.onFlush(event.epoch, event.fromChunk);
    else if (event.type === 'frames.missed') handlers.onFramesMissed();
  });
  return () => {
    latents.unsubscribe();
    events.unsubscribe();
  };
}

function assertFits(
  { sessionId, chunk, values, pcm, held }: LatentMessage,
  expected: string,
  geometry: ChunkGeometry,
): void {
  if (sessionId !== expected) throw new MeshError('MESSAGE_MALFORMED', "the chunk's session is not its subject's");
  const wanted = geometry.latentValues + (chunk === 0 ? geometry.sinkValues : 0);
  if ((!held && values.length !== wanted) || pcm.length !== geometry.samplesPerChunk)
    throw new MeshError(
      'MESSAGE_MALFORMED',
      `chunk ${chunk} has ${wanted} latent values and ${geometry.samplesPerChunk} samples, not ${values.length} and ${pcm.length}: give score-model and vae-decode the same TALKMESH_MODEL and ${CHUNK_LENGTH_SETTING}`,
    );
}

/** Whether a retained chunk has the sizes of this model: chunks from before a change of model do not. */
export function fits(message: LatentMessage, sessionId: string, geometry: ChunkGeometry): boolean {
  try {
    assertFits(message, sessionId, geometry);
    return true;
  } catch {
    return false;
  }
}

/** Messages of one session. It listens from construction on, and delivers from `start` on. */
export class SessionInlet {
  readonly #inlet = new HeldInlet();
  readonly #unlisten: () => void;

  constructor(bus: Bus, sessionId: string, geometry: ChunkGeometry, handlers: InboundHandlers) {
    this.#unlisten = listen(bus, sessionId, geometry, {
      onLatent: this.#inlet.hold((message: LatentMessage, trail: Trail) => handlers.onLatent(message, trail)),
      onFlush: this.#inlet.hold((epoch: number, fromChunk: number) => handlers.onFlush(epoch, fromChunk)),
      onFramesMissed: this.#inlet.hold(() => handlers.onFramesMissed()),
    });
  }

  start(): void {
    this.#inlet.start();
  }

  close(): void {
    this.#unlisten();
  }
}
