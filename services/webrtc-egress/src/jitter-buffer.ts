import { EpochFilter, type FrameMessage } from '@talkmesh/contracts';
import { blackI420, mixI420 } from '@talkmesh/media';

export type Verdict = 'accepted' | 'stale' | 'duplicate' | 'full';

/** A frame that the sink has and has not played yet. After `restore` the frame is taken again with another serial. */
export interface TakenFrame {
  readonly serial: number;
  readonly frame: FrameMessage;
}

/** Where the viewer sees a jump in time the pose differs, so each of this many frames is mixed with the one before the jump. */
const FADE_FRAMES = 4;

export type FramePosition = Pick<FrameMessage, 'epoch' | 'chunk' | 'frame'>;
type MediaPosition = Omit<FramePosition, 'epoch'>;

const isBefore = (a: MediaPosition, b: MediaPosition): boolean =>
  a.chunk < b.chunk || (a.chunk === b.chunk && a.frame < b.frame);

const nextPosition = ({ chunk, frame }: MediaPosition, framesInChunk: number): MediaPosition =>
  frame + 1 >= framesInChunk ? { chunk: chunk + 1, frame: 0 } : { chunk, frame: frame + 1 };

const isDirectlyAfter = ({ chunk, frame, framesInChunk }: FrameMessage, previous: MediaPosition): boolean => {
  const expected = nextPosition(previous, framesInChunk);
  return expected.chunk === chunk && expected.frame === frame;
};

/**
 * Orders a session's frames by chunk and frame number for the sink, which plays them: a viewer's connection, a room or a recording.
 * It has no clock and adds no delay: the sink takes a frame when it wants one. A frame that was taken is in flight until the sink
 * reports that it was played or discarded.
 *
 * Frames of older epochs are dropped as flushes say. Where the viewer sees a jump in time, the frames fade. The producers' credits
 * keep the number of frames below `capacityChunks`; frames beyond it are dropped.
 */
export class JitterBuffer {
  readonly #capacityChunks: number;
  readonly #epochs: EpochFilter;
  #waiting: FrameMessage[] = [];
  #inFlight: TakenFrame[] = [];
  /** The frame taken last. */
  #last: FramePosition | undefined;
  /** The frame played last. It has no image if another worker played it. */
  #lastPlayed: (FramePosition & Partial<Pick<FrameMessage, 'i420'>>) | undefined;
  #serial = 0;
  /** The image before a jump, and how many of the frames after it have been mixed with it. */
  #fade: { readonly from: Uint8Array; frames: number } | undefined;
  readonly #awaitsGaps: () => boolean;

  /**
   * @param options `lastPlayedByPredecessor`: at a takeover, the frame that the previous worker played last; frames up to it are
   *   stale. `awaitsGaps`: whether vae-decode is republishing frames that this worker missed, so that `take` waits for them
   */
  constructor(options: {
    epoch: number;
    capacityChunks: number;
    lastPlayedByPredecessor?: FramePosition | undefined;
    awaitsGaps: () => boolean;
  }) {
    const { epoch, lastPlayedByPredecessor: played } = options;
    this.#epochs = new EpochFilter(Math.max(epoch, played?.epoch ?? 0));
    this.#last = played;
    this.#lastPlayed = played;
    this.#capacityChunks = options.capacityChunks;
    this.#awaitsGaps = options.awaitsGaps;
  }

  get epoch(): number {
    return this.#epochs.epoch;
  }

  /** Frames that wait to be taken. */
  get waitingFrames(): number {
    return this.#waiting.length;
  }

  get framesInFlight(): number {
    return this.#inFlight.length;
  }

  /** Adds a frame. The first frame of a newer epoch also flushes, because the flush event may arrive later or be lost. */
  offer(frame: FrameMessage): { verdict: Verdict; dropped: number } {
    const dropped = frame.epoch > this.epoch ? this.flush(frame.epoch, frame.chunk) : 0;
    return { verdict: this.#insert(frame), dropped };
  }

  #insert(frame: FrameMessage): Verdict {
    if (this.#epochs.isStale(frame) || this.#isBehind(frame)) return 'stale';
    let at = this.#waiting.length;
    while (at > 0 && isBefore(frame, this.#waiting[at - 1] as FrameMessage)) at--;
    const previous = this.#waiting[at - 1];
    if (previous !== undefined && !isBefore(previous, frame)) return 'duplicate';
    if (this.#waiting.length >= this.#capacityChunks * frame.framesInChunk) return 'full';
    this.#waiting.splice(at, 0, frame);
    return 'accepted';
  }

  /**
   * Drops waiting frames of older epochs from `fromChunk` on. The caller tells the sink, which discards those in flight.
   * @returns how many waiting frames were dropped
   */
  flush(epoch: number, fromChunk: number): number {
    this.#epochs.start(epoch, fromChunk);
    const kept = this.#waiting.filter((frame) => !this.#epochs.isStale(frame));
    const dropped = this.#waiting.length - kept.length;
    this.#waiting = kept;
    return dropped;
  }

  /** The first chunk of the silence right before `chunk` that is not played to its end yet; `chunk` when there is no such silence. */
  idleBefore(chunk: number): number {
    const unplayed = [...this.#inFlight.map((taken) => taken.frame), ...this.#waiting];
    const earlier = unplayed.filter((frame) => frame.chunk < chunk);
    const lastSpoken = earlier.findLastIndex((frame) => frame.turn > 0);
    return earlier[lastSpoken + 1]?.chunk ?? chunk;
  }

  /** The next frame for the sink. @returns undefined when none waits, a gap is waited for, or `maxInFlight` frames are in flight */
  take(maxInFlight: number): TakenFrame | undefined {
    if (this.#inFlight.length >= maxInFlight) return undefined;
    const [next] = this.#waiting;
    if (next === undefined || (this.#isAfterGap(next) && this.#awaitsGaps())) return undefined;
    this.#waiting.shift();
    const shown = this.#shownBefore();
    if (shown?.i420 !== undefined && !isDirectlyAfter(next, shown)) this.#fade = { from: shown.i420, frames: 0 };
    // A held frame was published without an image, because no time was left to generate or decode it.
    const frame = next.held ? { ...next, i420: shown?.i420 ?? blackI420(next.width, next.height) } : this.#faded(next);
    const taken = { serial: this.#serial++, frame };
    this.#inFlight.push(taken);
    this.#last = frame;
    return taken;
  }

  /** Records that the sink played a frame. @returns undefined for an unknown serial, such as one of a replaced sink */
  played(serial: number): FrameMessage | undefined {
    const frame = this.#remove(serial);
    if (frame !== undefined) this.#lastPlayed = frame;
    return frame;
  }

  /** @returns false for an unknown serial */
  discarded(serial: number): boolean {
    return this.#remove(serial) !== undefined;
  }

  /** The sink disconnected: frames in flight, unless flushed, wait again for the next sink. @returns how many were dropped */
  restore(): number {
    const kept = this.#inFlight.map((taken) => taken.frame).filter((frame) => !this.#epochs.isStale(frame));
    const lost = this.#inFlight.length - kept.length;
    this.#waiting.unshift(...kept);
    this.#inFlight = [];
    this.#last = this.#lastPlayed;
    return lost;
  }

  /** The frame that the viewer sees just before the next one that is taken; flushed frames are never seen. */
  #shownBefore(): (FramePosition & Partial<Pick<FrameMessage, 'i420'>>) | undefined {
    return this.#inFlight.findLast(({ frame }) => !this.#epochs.isStale(frame))?.frame ?? this.#lastPlayed;
  }

  #faded(frame: FrameMessage): FrameMessage {
    if (this.#fade === undefined) return frame;
    const share = 1 - ++this.#fade.frames / (FADE_FRAMES + 1);
    const i420 = mixI420(this.#fade.from, frame.i420, share);
    if (this.#fade.frames === FADE_FRAMES) this.#fade = undefined;
    return { ...frame, i420 };
  }

  #remove(serial: number): FrameMessage | undefined {
    const at = this.#inFlight.findIndex((taken) => taken.serial === serial);
    return at < 0 ? undefined : this.#inFlight.splice(at, 1)[0]?.frame;
  }

  /** Whether frames are missing between the frame taken last and this one. */
  #isAfterGap(frame: FrameMessage): boolean {
    const last = this.#last;
    if (last === undefined) return false;
    const expected = nextPosition(last, frame.framesInChunk);
    // Frames that a flush dropped will not come again: the rest of a chunk that was cut, and an idle chunk that speech ended.
    const isDropped = this.#epochs.isStale({ epoch: last.epoch, chunk: expected.chunk });
    const isCut = isDropped && (expected.frame > 0 || frame.endsIdle);
    return isBefore(expected, frame) && !isCut;
  }

  /** Whether a frame comes too late to be taken. Frames of a newer epoch may go back: they replace chunks that were taken. */
  #isBehind(frame: FrameMessage): boolean {
    const last = this.#last;
    if (last === undefined) return false;
    return frame.epoch < last.epoch || (frame.epoch === last.epoch && !isBefore(last, frame));
  }
}
