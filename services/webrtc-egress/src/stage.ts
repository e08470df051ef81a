import type { FrameMessage } from '@talkmesh/contracts';

export type Verdict = 'accepted' | 'stale' | 'duplicate' | 'full';

/** A frame handed to the sink; `serial` counts hand-overs, so a frame handed over twice has two. */
export interface TakenFrame {
  readonly serial: number;
  readonly frame: FrameMessage;
}

/** A place in the session's frames. */
export type FramePosition = Pick<FrameMessage, 'epoch' | 'chunk' | 'frame'>;

interface Flush {
  readonly epoch: number;
  readonly fromChunk: number;
}

const FLUSHES_REMEMBERED = 32;

const precedes = (a: Omit<FramePosition, 'epoch'>, b: Omit<FramePosition, 'epoch'>): boolean =>
  a.chunk < b.chunk || (a.chunk === b.chunk && a.frame < b.frame);

/**
 * Jitter buffer of one session: frames in media order, epochs, and the frames a sink holds but has not played.
 * Bounded by `capacityChunks`; credits keep it from filling, so what arrives beyond it is refused.
 */
export class FrameStage {
  readonly #capacityChunks: number;
  readonly #flushes: Flush[] = [];
  #epoch: number;
  #waiting: FrameMessage[] = [];
  #inFlight: TakenFrame[] = [];
  #last: FramePosition | undefined;
  /** Without a picture when another worker played it. */
  #lastPlayed: (FramePosition & Partial<Pick<FrameMessage, 'i420'>>) | undefined;
  #serial = 0;
  /** Frames that were missed are on their way again: a gap is waited for, not played over. */
  expectsMissed = false;

  /** @param options `after`: what another worker played last; everything up to it is stale. */
  constructor(options: { epoch: number; capacityChunks: number; after?: FramePosition | undefined }) {
    this.#epoch = Math.max(options.epoch, options.after?.epoch ?? 0);
    this.#last = options.after;
    this.#lastPlayed = options.after;
    this.#capacityChunks = options.capacityChunks;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  get inFlight(): number {
    return this.#inFlight.length;
  }

  /** Takes a frame in. A frame of a newer epoch also acts as the flush that announced it, should that still be under way. */
  offer(frame: FrameMessage): { verdict: Verdict; dropped: number } {
    const dropped = frame.epoch > this.#epoch ? this.flush(frame.epoch, frame.chunk) : 0;
    return { verdict: this.#admit(frame), dropped };
  }

  #admit(frame: FrameMessage): Verdict {
    if (this.#isFlushed(frame) || this.#isBehind(frame)) return 'stale';
    let at = this.#waiting.length;
    while (at > 0 && precedes(frame, this.#waiting[at - 1] as FrameMessage)) at--;
    const before = this.#waiting[at - 1];
    if (before !== undefined && !precedes(before, frame)) return 'duplicate';
    if (this.#waiting.length >= this.#capacityChunks * frame.framesInChunk) return 'full';
    this.#waiting.splice(at, 0, frame);
    return 'accepted';
  }

  /**
   * Forgets waiting frames of older epochs from `fromChunk` on.
   * Frames in flight are the sink's to give back: it answers with `discarded`.
   * @returns how many waiting frames were dropped
   */
  flush(epoch: number, fromChunk: number): number {
    if (epoch > this.#epoch) this.#epoch = epoch;
    this.#flushes.push({ epoch, fromChunk });
    if (this.#flushes.length > FLUSHES_REMEMBERED) this.#flushes.shift();
    const before = this.#waiting.length;
    this.#waiting = this.#waiting.filter((frame) => !this.#isFlushed(frame));
    return before - this.#waiting.length;
  }

  /** The next frame for the sink, or undefined when none waits or `maxInFlight` are with the sink already. */
  take(maxInFlight: number): TakenFrame | undefined {
    if (this.#inFlight.length >= maxInFlight) return undefined;
    const [next] = this.#waiting;
    if (next === undefined || (this.expectsMissed && this.#isAfterGap(next))) return undefined;
    this.#waiting.shift();
    const frame = next.held ? { ...next, i420: this.#pictureBefore(next) } : next;
    const taken = { serial: this.#serial++, frame };
    this.#inFlight.push(taken);
    this.#last = frame;
    return taken;
  }

  /** The sink played it. Unknown serials (of a sink that was replaced) give undefined. */
  played(serial: number): FrameMessage | undefined {
    const frame = this.#remove(serial);
    if (frame !== undefined) this.#lastPlayed = frame;
    return frame;
  }

  /** The sink dropped it before playing it. */
  discarded(serial: number): boolean {
    return this.#remove(serial) !== undefined;
  }

  /** The sink is gone: what it had not played waits again, unless it was flushed. Returns the number of frames lost to a flush. */
  restore(): number {
    const kept = this.#inFlight.map((taken) => taken.frame).filter((frame) => !this.#isFlushed(frame));
    const lost = this.#inFlight.length - kept.length;
    this.#waiting.unshift(...kept);
    this.#inFlight = [];
    this.#last = this.#lastPlayed;
    return lost;
  }

  /** What a held frame shows: the last picture the sink has and keeps. Where there never was one, nothing: black. */
  #pictureBefore({ width, height }: FrameMessage): Uint8Array {
    const kept = this.#inFlight.filter(({ frame }) => !this.#isFlushed(frame)).at(-1)?.frame ?? this.#lastPlayed;
    return kept?.i420 ?? new Uint8Array((width * height * 3) / 2).fill(128).fill(16, 0, width * height);
  }

  #remove(serial: number): FrameMessage | undefined {
    const at = this.#inFlight.findIndex((taken) => taken.serial === serial);
    return at < 0 ? undefined : this.#inFlight.splice(at, 1)[0]?.frame;
  }

  #isFlushed(frame: FrameMessage): boolean {
    return this.#flushes.some((flush) => frame.epoch < flush.epoch && frame.chunk >= flush.fromChunk);
  }

  #isAfterGap(frame: FrameMessage): boolean {
    const last = this.#last;
    if (last === undefined) return false;
    const endsChunk = last.frame + 1 >= frame.framesInChunk;
    const due = endsChunk ? { chunk: last.chunk + 1, frame: 0 } : { chunk: last.chunk, frame: last.frame + 1 };
    return precedes(due, frame);
  }

  #isBehind(frame: FrameMessage): boolean {
    const last = this.#last;
    if (last === undefined) return false;
    return frame.epoch < last.epoch || (frame.epoch === last.epoch && !precedes(last, frame));
  }
}
