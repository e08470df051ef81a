import type { FrameMessage, PlayheadMessage } from '@talkmesh/contracts';

const PUBLISH_EVERY_FRAMES = 4;

interface Position {
  readonly epoch: number;
  readonly turn: number;
  readonly chunk: number;
  readonly frame: number;
  readonly mediaTimeUs: number;
  readonly turnPlayedMs: number;
}

/** Counts what was played and decides when to say so. Pure: the messages it returns are to be published in order. */
export class Playhead {
  readonly #sessionId: string;
  readonly #creditChunks: number;
  readonly #frameMs: number;
  #at: Position;
  #heldFrames = 0;
  #playedFrames = 0;
  #unpublished = 0;
  /** The newest turn and what was played of it; idle frames (turn 0) in the middle of it, after an underrun, do not forget it. */
  #turn = { id: 0, playedMs: 0 };

  /** @param options `after`: the last another worker said of this session; counting goes on from it. */
  constructor(options: {
    sessionId: string;
    epoch: number;
    creditChunks: number;
    fps: number;
    after?: PlayheadMessage | undefined;
  }) {
    this.#sessionId = options.sessionId;
    this.#creditChunks = options.creditChunks;
    this.#frameMs = 1000 / options.fps;
    const { after } = options;
    this.#at = { epoch: options.epoch, turn: 0, chunk: 0, frame: 0, mediaTimeUs: 0, turnPlayedMs: 0 };
    if (after === undefined) return;
    const { epoch, turn, chunk, frame, mediaTimeUs, turnPlayedMs } = after;
    this.#at = { epoch, turn, chunk, frame, mediaTimeUs, turnPlayedMs };
    this.#turn = { id: turn, playedMs: turnPlayedMs };
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
   * A frame was played. Published are: every fourth frame, the first of a chunk (it grants credit), the last of a turn,
   * and, when the turn changes, the position at which the one before stopped.
   */
  played(frame: FrameMessage): PlayheadMessage[] {
    const before = this.#at;
    const sameTurn = frame.turn === before.turn;
    if (frame.turn !== 0 && frame.turn !== this.#turn.id) this.#turn = { id: frame.turn, playedMs: 0 };
    if (frame.turn !== 0 && frame.speaking) this.#turn.playedMs += this.#frameMs;
    const messages = !sameTurn && this.#unpublished > 0 ? [this.current()] : [];
    this.#at = {
      epoch: frame.epoch,
      turn: frame.turn,
      chunk: frame.chunk,
      frame: frame.frame,
      mediaTimeUs: frame.mediaTimeUs,
      turnPlayedMs: frame.turn === 0 ? 0 : this.#turn.playedMs,
    };
    this.#playedFrames++;
    this.#unpublished++;
    const endsTurn = frame.endOfTurn && frame.frame === frame.framesInChunk - 1;
    const newChunk = frame.chunk !== before.chunk;
    if (newChunk || endsTurn || this.#unpublished >= PUBLISH_EVERY_FRAMES) messages.push(this.current());
    return messages;
  }

  /** A paused turn goes on after `heardMs`: news where another worker played it. */
  resumed(turn: number, heardMs: number): void {
    if (turn !== 0 && turn !== this.#turn.id) this.#turn = { id: turn, playedMs: heardMs };
  }

  /** The last frame was shown `frames` times more because the next was late. */
  held(frames: number): PlayheadMessage {
    this.#heldFrames += frames;
    return this.current();
  }

  /** The position now, for publishing. */
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
