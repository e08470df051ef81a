import {
  type EpochStart,
  epochStarts,
  type LatentMessage,
  type MeshEvent,
  type PlayheadMessage,
  standingChunks,
} from '@talkmesh/contracts';

/** What NATS retains of a session, in the order it was published. */
export interface Retained {
  readonly latents: readonly LatentMessage[];
  readonly events: readonly MeshEvent[];
  readonly playhead: PlayheadMessage | undefined;
}

/** `exact`: the state is the one that was lost; `near`: the chunk before is not retained; `silence`: no chunk is. */
export type ResumeOutcome = 'exact' | 'near' | 'silence';

export interface ResumePlan {
  readonly outcome: ResumeOutcome;
  /** The epoch to begin with: each chunk says its own. */
  readonly epoch: number;
  /** Decoded for the state it leaves; its frames were played. */
  readonly before: LatentMessage | undefined;
  /** To be decoded again, from the one being played on. */
  readonly chunks: readonly LatentMessage[];
  /** What is void once those are there. */
  readonly flush: EpochStart | undefined;
}

/** Where decoding goes on that another worker did. Pure. @param epoch at least this one was reached */
export function planResume({ latents, events, playhead }: Retained, epoch: number): ResumePlan {
  const starts = epochStarts(latents, events);
  const standing = [...standingChunks(latents, starts).values()];
  const flush = starts.reduce<EpochStart | undefined>(
    (newest, start) => (start.epoch > (newest?.epoch ?? 0) ? start : newest),
    undefined,
  );
  const from = playhead?.chunk ?? 0;
  const chunks = standing.filter(({ chunk }) => chunk >= from);
  const first = chunks[0];
  if (first === undefined)
    return { outcome: 'silence', epoch: Math.max(epoch, playhead?.epoch ?? 0), before: undefined, chunks, flush };
  // Held chunks leave the state as it was.
  const before = standing.findLast(({ chunk, held }) => chunk < first.chunk && !held);
  const heldBetween = standing.filter(({ chunk }) => chunk < first.chunk && chunk > (before?.chunk ?? first.chunk));
  const gapless = before !== undefined && before.chunk + heldBetween.length === first.chunk - 1;
  const outcome = first.chunk === 0 || gapless ? 'exact' : 'near';
  return { outcome, epoch: first.epoch, before, chunks, flush };
}

/** Chunks that may not have been shown: from the one being played on. */
export function unplayed({ latents, events, playhead }: Retained): LatentMessage[] {
  const standing = standingChunks(latents, epochStarts(latents, events));
  return [...standing.values()].filter(({ chunk }) => chunk >= (playhead?.chunk ?? 0));
}
