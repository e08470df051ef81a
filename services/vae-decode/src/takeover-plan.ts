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

/** `exact`: the decoder state equals the lost one; `near`: fewer chunks are replayed than it depends on; `silence`: no chunk is retained. */
export type TakeoverOutcome = 'exact' | 'near' | 'silence';

export interface TakeoverPlan {
  readonly outcome: TakeoverOutcome;
  /** The epoch to begin with; each chunk carries its own. */
  readonly epoch: number;
  /** Decoded to restore the state, oldest first; their frames were already played. */
  readonly replay: readonly LatentMessage[];
  /** Chunks to decode, beginning with the one being played. */
  readonly chunks: readonly LatentMessage[];
  /** The newest flush, applied after those chunks. */
  readonly flush: EpochStart | undefined;
}

export interface TakeoverOptions {
  /** Lower bound of the session's epoch. */
  readonly epoch: number;
  /** Chunks after which the decoder's state no longer depends on earlier chunks. */
  readonly depth: number;
  /** Chunks that can be replayed within the budget; one at least. */
  readonly affordable: number;
}

/** Plans where decoding continues at a takeover. */
export function planTakeover({ latents, events, playhead }: Retained, options: TakeoverOptions): TakeoverPlan {
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
    return { outcome: 'silence', epoch: Math.max(options.epoch, playhead?.epoch ?? 0), replay: [], chunks, flush };
  const { replay, exact } = replayOf(current, first.chunk, options);
  return { outcome: exact ? 'exact' : 'near', epoch: first.epoch, replay, chunks, flush };
}

/** The newest retained chunks before `next`. Held chunks do not change the state; across a gap the newest chunk is better than none. */
function replayOf(
  current: readonly LatentMessage[],
  next: number,
  { depth, affordable }: TakeoverOptions,
): { replay: LatentMessage[]; exact: boolean } {
  const replay: LatentMessage[] = [];
  let [from, gapless] = [next, true];
  for (const latent of current.filter(({ chunk }) => chunk < next).toReversed()) {
    if (replay.length >= Math.min(depth, Math.max(1, affordable))) break;
    if (latent.chunk !== from - 1) {
      gapless = false;
      if (replay.length > 0) break;
    }
    if (!latent.held) replay.unshift(latent);
    from = latent.chunk;
  }
  return { replay, exact: gapless && (from === 0 || replay.length >= depth) };
}

/** Chunks that may not have been played, beginning with the one being played. */
export function unplayed({ latents, events, playhead }: Retained): LatentMessage[] {
  const current = currentChunks(latents, epochStarts(latents, events));
  return [...current.values()].filter(({ chunk }) => chunk >= (playhead?.chunk ?? 0));
}
