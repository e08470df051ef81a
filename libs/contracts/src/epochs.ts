import type { MeshEvent } from './events.js';
import type { LatentMessage } from './messages.js';

/** The beginning of an epoch: chunks >= `fromChunk` of older epochs are dropped. */
export interface EpochStart {
  readonly epoch: number;
  readonly fromChunk: number;
}

/** Position of a chunk, or of a frame by its chunk. */
export interface EpochPosition {
  readonly epoch: number;
  readonly chunk: number;
}

/** Whether the start of a newer epoch drops this chunk. Chunks of older epochs before `fromChunk` are still played. */
export const isDroppedBy = (start: EpochStart, { epoch, chunk }: EpochPosition): boolean =>
  epoch < start.epoch && chunk >= start.fromChunk;

/** A late frame is at most a few epochs old, so older starts are not needed. */
const STARTS_REMEMBERED = 32;

/** Decides which chunks of one session are stale. The caller reports flush events and, in case one was lost, the first chunk of a newer epoch. */
export class EpochFilter {
  readonly #starts: EpochStart[] = [];
  #epoch: number;

  constructor(epoch = 0) {
    this.#epoch = epoch;
  }

  /** The newest epoch. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Records the start of an epoch. A start that arrives late still drops its chunks. @returns whether it is the newest epoch */
  start(epoch: number, fromChunk: number): boolean {
    this.#starts.push({ epoch, fromChunk });
    if (this.#starts.length > STARTS_REMEMBERED) this.#starts.shift();
    const isNewest = epoch > this.#epoch;
    if (isNewest) this.#epoch = epoch;
    return isNewest;
  }

  isStale(position: EpochPosition): boolean {
    return this.#starts.some((start) => isDroppedBy(start, position));
  }
}

/** The starts of all epochs: from flush events, and from the first chunk of an epoch where the event is missing. */
export function epochStarts(latents: readonly LatentMessage[], events: readonly MeshEvent[]): EpochStart[] {
  const flushed = events.flatMap((event) =>
    event.type === 'flush' ? [{ epoch: event.epoch, fromChunk: event.fromChunk }] : [],
  );
  const firsts = new Map<number, number>();
  for (const { epoch, chunk } of latents) firsts.set(epoch, Math.min(chunk, firsts.get(epoch) ?? chunk));
  // Older chunks of the oldest epoch may have expired, so its first retained chunk need not be its start.
  firsts.delete(Math.min(...firsts.keys()));
  return [...flushed, ...[...firsts].map(([epoch, fromChunk]) => ({ epoch, fromChunk }))];
}

/** The chunks that no flush has dropped, by number and in order. Of a chunk that was regenerated, the newest version. */
export function currentChunks(
  latents: readonly LatentMessage[],
  starts: readonly EpochStart[],
): Map<number, LatentMessage> {
  const chunks = new Map<number, LatentMessage>();
  for (const latent of latents) {
    if (starts.some((start) => isDroppedBy(start, latent))) continue;
    if (latent.epoch >= (chunks.get(latent.chunk)?.epoch ?? 0)) chunks.set(latent.chunk, latent);
  }
  return new Map([...chunks].sort(([a], [b]) => a - b));
}
