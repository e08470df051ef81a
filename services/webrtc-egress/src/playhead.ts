import { type FrameMessage, type PlayheadMessage, SPEECH_RATE_HZ } from '@talkmesh/contracts';

/** Of speech every frame is reported, because it may be cut at any of them. */
const PUBLISH_EVERY_IDLE_FRAMES = 4;

interface Position {
  readonly epoch: number;
  readonly turn: number;
  readonly chunk: number;
  readonly frame: number;
  readonly mediaTimeUs: number;
  readonly turnPlayedMs: number;
}

/** Counts what was played and decides when to report it. It does no I/O: the caller publishes the returned messages. */
export class Playhead {
  readonly #sessionId: string;
  readonly #creditChunks: number;
  #at: Position;
  #heldFrames = 0;
  #playedFrames = 0;
  #unpublished = 0;

  /** @param options `after`: the last playhead of the previous worker; counting continues from it. */
  constructor(options: {
    sessionId: string;
    epoch: number;
    creditChunks: number;
    after?: PlayheadMessage | undefined;
  }) {
    this.#sessionId = options.sessionId;
    this.#creditChunks = options.creditChunks;
    const { after } = options;
    this.#at = { epoch: options.epoch, turn: 0, chunk: 0, frame: 0, mediaTimeUs: 0, turnPlayedMs: 0 };
    if (after === undefined) return;
    const { epoch, turn, chunk, frame, mediaTimeUs, turnPlayedMs } = after;
    this.#at = { epoch, turn, chunk, frame, mediaTimeUs, turnPlayedMs };
    this.#heldFrames = after.heldFrames;
  }

  get chunk(): number {
    return this.#at.chunk;
  }

  get turn(): number {
    return this.#at.turn;
  }

  get heldFrames(): number {
    return this.#heldFrames;
  }

  get playedFrames(): number {
    return this.#playedFrames;
  }

  /**
   * Records that a frame was played. Returns a message for every frame of speech, for every fourth idle frame and the first of a chunk
   * (it grants credit).
   */
  played(frame: FrameMessage): PlayheadMessage | undefined {
    const before = this.#at;
    this.#at = {
      epoch: frame.epoch,
      turn: frame.turn,
      chunk: frame.chunk,
      frame: frame.frame,
      mediaTimeUs: frame.mediaTimeUs,
      turnPlayedMs: (frame.turnSamples * 1000) / SPEECH_RATE_HZ,
    };
    this.#playedFrames++;
    this.#unpublished++;
    const isDue = frame.chunk !== before.chunk || this.#unpublished >= PUBLISH_EVERY_IDLE_FRAMES;
    return frame.turn > 0 || isDue ? this.current() : undefined;
  }

  held(frames: number): PlayheadMessage {
    this.#heldFrames += frames;
    return this.current();
  }

  current(): PlayheadMessage {
    this.#unpublished = 0;
    return {
      sessionId: this.#sessionId,
      ...this.#at,
      deadlineUs: 0,
      creditChunks: this.#creditChunks,
      heldFrames: this.#heldFrames,
    };
  }
}
