import { type FrameMessage, type PlayheadMessage, SPEECH_RATE_HZ } from '@talkmesh/contracts';

const PUBLISH_EVERY_FRAMES = 4;

interface Position {
  readonly epoch: number;
  readonly turn: number;
  readonly chunk: number;
  readonly frame: number;
  readonly mediaTimeUs: number;
  readonly turnPlayedMs: number;
}

/** Counts what was played and decides when to report it. It does no I/O: the caller publishes the returned messages in order. */
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
   * Records that a frame was played. Returns a message for every fourth frame, the first of a chunk (it grants credit) and the
   * last of a turn, and, when the turn changes, for the position where the previous turn stopped.
   */
  played(frame: FrameMessage): PlayheadMessage[] {
    const before = this.#at;
    const sameTurn = frame.turn === before.turn;
    const messages = !sameTurn && this.#unpublished > 0 ? [this.current()] : [];
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
    const endsTurn = frame.endOfTurn && frame.frame === frame.framesInChunk - 1;
    const newChunk = frame.chunk !== before.chunk;
    if (newChunk || endsTurn || this.#unpublished >= PUBLISH_EVERY_FRAMES) messages.push(this.current());
    return messages;
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
