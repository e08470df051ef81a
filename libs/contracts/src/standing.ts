import type { MeshEvent } from './events.js';
import type { LatentMessage } from './messages.js';

/** Chunks >= `fromChunk` of epochs below `epoch` are forgotten. */
export interface EpochStart {
  readonly epoch: number;
  readonly fromChunk: number;
}

/** What began each epoch: said by flush events, and by the first chunk of an epoch where the event is missing. */
export function epochStarts(latents: readonly LatentMessage[], events: readonly MeshEvent[]): EpochStart[] {
  const said = events.flatMap((event) =>
    event.type === 'flush' ? [{ epoch: event.epoch, fromChunk: event.fromChunk }] : [],
  );
  const firsts = new Map<number, number>();
  for (const { epoch, chunk } of latents) firsts.set(epoch, Math.min(chunk, firsts.get(epoch) ?? chunk));
  // Chunks of the oldest epoch that are known need not be its first.
  firsts.delete(Math.min(...firsts.keys()));
  return [...said, ...[...firsts].map(([epoch, fromChunk]) => ({ epoch, fromChunk }))];
}

/** Chunks that no flush has made void, by number and in its order; of a chunk made again the newest. */
export function standingChunks(
  latents: readonly LatentMessage[],
  starts: readonly EpochStart[],
): Map<number, LatentMessage> {
  const chunks = new Map<number, LatentMessage>();
  for (const latent of latents) {
    const isVoid = starts.some(({ epoch, fromChunk }) => latent.epoch < epoch && latent.chunk >= fromChunk);
    if (!isVoid && latent.epoch >= (chunks.get(latent.chunk)?.epoch ?? 0)) chunks.set(latent.chunk, latent);
  }
  return new Map([...chunks].sort(([a], [b]) => a - b));
}
