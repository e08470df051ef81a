import { EpochFilter, type FrameMessage } from '@talkmesh/contracts';
import { blackI420, mixI420 } from '@talkmesh/media';

export type Verdict = 'accepted' | 'stale' | 'duplicate' | 'full';

/** A frame in flight. Taken again after `restore`, it gets another. */
export interface TakenFrame {
  readonly serial: number;
  readonly frame: FrameMessage;
}

/** After a jump in time the picture changes over so many frames, because the pose differs. */
const FADE_FRAMES = 4;

export type FramePosition = Pick<FrameMessage, 'epoch' | 'chunk' | 'frame'>;

const precedes = (a: Omit<FramePosition, 'epoch'>, b: Omit<FramePosition, 'epoch'>): boolean =>
  a.chunk < b.chunk || (a.chunk === b.chunk && a.frame < b.frame);

/** The position after another one. */
const after = ({ chunk, frame }: Omit<FramePosition, 'epoch'>, framesInChunk: number): Omit<FramePosition, 'epoch'> =>
  frame + 1 >= framesInChunk ? { chunk: chunk + 1, frame: 0 } : { chunk, frame: frame + 1 };

const follows = ({ chunk, frame, framesInChunk }: FrameMessage, before: Omit<FramePosition, 'epoch'>): boolean => {
  const due = after(before, framesInChunk);
  return due.chunk === chunk && due.frame === frame;
};

/**
 * Orders a session's frames by chunk and frame number for the sink: a viewer's connection or a recording. A frame that was taken is in
 * flight until the sink reports it played or discarded. Where the viewer sees a jump in time, the picture fades. Credits keep the producers below `capacityChunks`; frames beyond it are dropped.
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
  /** The picture before a jump, and how many of the frames after it have been mixed with it. */
  #fade: { readonly from: Uint8Array; frames: number } | undefined;
  readonly #awaitsGaps: () => boolean;

  /**
   * @param options `after`: the frame that the previous worker played last; frames up to it are stale. `awaitsGaps`: whether
   *   missed frames are being republished, so that `take` waits at a gap
   */
  constructor(options: {
    epoch: number;
    capacityChunks: number;
    after?: FramePosition | undefined;
    awaitsGaps: () => boolean;
  }) {
    this.#epochs = new EpochFilter(Math.max(options.epoch, options.after?.epoch ?? 0));
    this.#last = options.after;
    this.#lastPlayed = options.after;
    this.#capacityChunks = options.capacityChunks;
    this.#awaitsGaps = () => options.awaitsGaps();
  }

  get epoch(): number {
    return this.#epochs.epoch;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  get inFlight(): number {
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
    while (at > 0 && precedes(frame, this.#waiting[at - 1] as FrameMessage)) at--;
    const before = this.#waiting[at - 1];
    if (before !== undefined && !precedes(before, frame)) return 'duplicate';
    if (this.#waiting.length >= this.#capacityChunks * frame.framesInChunk) return 'full';
    this.#waiting.splice(at, 0, frame);
    return 'accepted';
  }

  /** Drops waiting frames of older epochs from `fromChunk` on; the sink discards those in flight. @returns how many were dropped */
  flush(epoch: number, fromChunk: number): number {
    this.#epochs.start(epoch, fromChunk);
    const before = this.#waiting.length;
    this.#waiting = this.#waiting.filter((frame) => !this.#epochs.isStale(frame));
    return before - this.#waiting.length;
  }

  /** The first idle chunk of those that directly precede `chunk` and were not played to their end; `chunk` when there is none. */
  idleBefore(chunk: number): number {
    const unplayed = [...this.#inFlight.map((taken) => taken.frame), ...this.#waiting];
    const before = unplayed.filter((frame) => frame.chunk < chunk);
    const lastSpoken = before.findLastIndex((frame) => frame.turn > 0);
    return before[lastSpoken + 1]?.chunk ?? chunk;
  }

  /** @returns undefined when no frame may be taken or `maxInFlight` frames are in flight */
  take(maxInFlight: number): TakenFrame | undefined {
    if (this.#inFlight.length >= maxInFlight) return undefined;
    const [next] = this.#waiting;
    if (next === undefined || (this.#isAfterGap(next) && this.#awaitsGaps())) return undefined;
    this.#waiting.shift();
    // A held frame was published without an image, because no time was left to generate or decode it.
    const shown = this.#shownBefore();
    if (shown?.i420 !== undefined && !follows(next, shown)) this.#fade = { from: shown.i420, frames: 0 };
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

  /** The frame the viewer sees just before, never a flushed one. */
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

  #isAfterGap(frame: FrameMessage): boolean {
    const last = this.#last;
    if (last === undefined) return false;
    const due = after(last, frame.framesInChunk);
    // The rest of a chunk that was cut will not come again, nor an idle chunk that gave way to speech.
    const isDropped = this.#epochs.isStale({ epoch: last.epoch, chunk: due.chunk });
    const isCut = isDropped && (due.frame > 0 || frame.endsIdle);
    return precedes(due, frame) && !isCut;
  }

  #isBehind(frame: FrameMessage): boolean {
    const last = this.#last;
    if (last === undefined) return false;
    return frame.epoch < last.epoch || (frame.epoch === last.epoch && !precedes(last, frame));
  }
}
