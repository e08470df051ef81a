import {
  currentChunks,
  type EpochStart,
  epochStarts,
  type LatentMessage,
  type MeshEvent,
  type PlayheadMessage,
} from '@talkmesh/contracts';

/** What NATS retains of a session, in the order it was published. */
export interface Retained {
  readonly latents: readonly LatentMessage[];
  readonly events: readonly MeshEvent[];
  readonly playhead: PlayheadMessage | undefined;
}

/** `exact`: the decoder state equals the lost one; `near`: the chunk before is not retained; `silence`: no chunk is retained. */
export type TakeoverOutcome = 'exact' | 'near' | 'silence';

export interface TakeoverPlan {
  readonly outcome: TakeoverOutcome;
  /** The epoch to begin with; each chunk carries its own. */
  readonly epoch: number;
  /** Decoded to restore the state; its frames were already played. */
  readonly before: LatentMessage | undefined;
  /** Chunks to decode, beginning with the one being played. */
  readonly chunks: readonly LatentMessage[];
  /** The newest flush, applied after those chunks. */
  readonly flush: EpochStart | undefined;
}

/** Plans where decoding continues at a takeover. @param epoch lower bound of the session's epoch */
export function planTakeover({ latents, events, playhead }: Retained, epoch: number): TakeoverPlan {
  const starts = epochStarts(latents, events);
  const current = [...currentChunks(latents, starts).values()];
  const flush = starts.reduce<EpochStart | undefined>(
    (newest, start) => (start.epoch > (newest?.epoch ?? 0) ? start : newest),
    undefined,
  );
  const from = playhead?.chunk ?? 0;
  const chunks = current.filter(({ chunk }) => chunk >= from);
  const first = chunks[0];
  if (first === undefined)
    return { outcome: 'silence', epoch: Math.max(epoch, playhead?.epoch ?? 0), before: undefined, chunks, flush };
  // Held chunks do not change the state.
  const before = current.findLast(({ chunk, held }) => chunk < first.chunk && !held);
  const heldBetween = current.filter(({ chunk }) => chunk < first.chunk && chunk > (before?.chunk ?? first.chunk));
  const gapless = before !== undefined && before.chunk + heldBetween.length === first.chunk - 1;
  const outcome = first.chunk === 0 || gapless ? 'exact' : 'near';
  return { outcome, epoch: first.epoch, before, chunks, flush };
}

/** Chunks that may not have been played, beginning with the one being played. */
export function unplayed({ latents, events, playhead }: Retained): LatentMessage[] {
  const current = currentChunks(latents, epochStarts(latents, events));
  return [...current.values()].filter(({ chunk }) => chunk >= (playhead?.chunk ?? 0));
}
