import type { ChunkGeometry, FlushCause, PlayheadMessage } from '@talkmesh/contracts';
import type { Clock } from './clock.js';
import { Pause, type PauseChange, type Said } from './pause.js';
import { Position } from './position.js';
import { type Piece, type PushResult, SpeechQueue, type SpokenPosition } from './speech-queue.js';

export interface CallOptions {
  readonly sessionId: string;
  readonly epoch: number;
  /** A recording: no idle chunks, no padding inside a turn, no deadlines. */
  readonly unpaced: boolean;
  readonly leadChunks: number;
  readonly maxLeadChunks: number;
  readonly speechGraceMs: number;
  readonly flushMarginMs: number;
  readonly maxSpeechSamples: number;
  /** Where the call goes on that another worker had before; left out: it begins. */
  readonly from?: CallPosition;
}

export interface CallPosition {
  /** The next chunk to make. */
  readonly chunk: number;
  /** The first chunk that can be made again. */
  readonly earliest: number;
  /** What each chunk before it says that may still be rolled back. */
  readonly said: ReadonlyMap<number, Said>;
  readonly spoken: SpokenPosition;
  /** Whether nothing is to be said until a resume. */
  readonly paused: boolean;
  /** The last position known, and its age. */
  readonly playhead?: { readonly message: PlayheadMessage; readonly ageMs: number };
}

/** Chunks >= fromChunk of older epochs are to be forgotten. */
export interface Flush {
  readonly epoch: number;
  readonly turn: number;
  readonly fromChunk: number;
  readonly cause: FlushCause;
}

export interface Job extends Piece {
  readonly chunk: number;
  readonly epoch: number;
  readonly deadlineUs: number;
}

const NEVER = Number.POSITIVE_INFINITY;

/** Decides what one session's next chunk is and when it may be made. It computes nothing itself. */
export class Call {
  readonly options: CallOptions;
  readonly position: Position;
  /** Whether an idle chunk that is given up now can be made again in time, with all that follow it. */
  canRemake: (chunk: number) => boolean = () => true;
  readonly #clock: Clock;
  readonly #speech: SpeechQueue;
  readonly #pause: Pause;
  /** What each chunk says that may still be rolled back. */
  readonly #said: Map<number, Said>;
  #epoch: number;
  #next: number;
  #starvingSinceMs: number | undefined;

  constructor(options: CallOptions, geometry: ChunkGeometry, clock: Clock) {
    this.options = options;
    this.#epoch = options.epoch;
    this.#clock = clock;
    const { from, maxSpeechSamples: maxSamples } = options;
    this.#next = from?.chunk ?? 0;
    this.#said = new Map(from?.said);
    const { samplesPerChunk } = geometry;
    this.#speech = new SpeechQueue({ samplesPerChunk, maxSamples, ...(from !== undefined && { from: from.spoken }) });
    this.#pause = new Pause(this.#speech, geometry.samplesPerFrame, clock, from?.paused ?? false);
    this.position = new Position({
      clock,
      chunkUs: geometry.chunkMs * 1000,
      paced: !options.unpaced,
      creditChunks: options.leadChunks,
      chunk: from?.chunk ?? 0,
    });
    const known = from?.playhead;
    if (known !== undefined) this.position.update(known.message, options.maxLeadChunks, known.ageMs);
  }

  get epoch(): number {
    return this.#epoch;
  }

  get next(): number {
    return this.#next;
  }

  get paused(): boolean {
    return this.#pause.on;
  }

  /** Whether the next chunk belongs to a turn. */
  get speaksNext(): boolean {
    return this.#status() !== 'idle';
  }

  onPlayhead(playhead: PlayheadMessage): void {
    this.position.update(playhead, this.options.maxLeadChunks);
    this.#pause.onPlayhead(playhead);
  }

  /**
   * Queues speech. The first of a turn flushes idle chunks that wait, so that it is heard in the very next one; those that could not be
   * made again in time stay.
   */
  onSpeech(
    turn: number,
    pcm: Int16Array,
    endOfTurn: boolean,
    fromSample?: number,
  ): { result: PushResult; flush?: Flush } {
    const result = this.#speech.push(turn, pcm, endOfTurn, fromSample);
    if (result !== 'first' || this.paused) return { result };
    const flush = this.#flushIdle(turn, 'speech');
    return { result, ...(flush !== undefined && { flush }) };
  }

  /** Silence from the first chunk that can still be replaced; its speech is kept for `onResume`. Undefined when it is paused already. */
  onPause(): { change: PauseChange; flush?: Flush } | undefined {
    if (this.paused) return undefined;
    this.#starvingSinceMs = undefined;
    let fromChunk = this.#firstUnplayed();
    while (fromChunk < this.#next && !this.#said.get(fromChunk)?.turn) fromChunk++;
    const back = [...this.#said].filter(([chunk]) => chunk >= fromChunk);
    const { turn } = back[0]?.[1] ?? { turn: 0 };
    const flush = fromChunk < this.#next ? this.#flush(fromChunk, turn, 'pause') : undefined;
    return { change: this.#pause.begin(new Map(back)), ...(flush !== undefined && { flush }) };
  }

  /** Speech goes on in the very next chunk, with the sample after the last one heard. Undefined when it is not paused. */
  onResume(): { change: PauseChange; flush?: Flush } | undefined {
    const change = this.#pause.end('command');
    if (change === undefined) return undefined;
    const flush = this.#speech.waits ? this.#flushIdle(change.turn, 'continue') : undefined;
    return { change, ...(flush !== undefined && { flush }) };
  }

  /** Cuts a turn and everything before it (0: everything), and ends a pause. No flush when a newer turn is being spoken already; asked again, it does nothing. */
  onInterrupt(turn: number): { droppedSamples: number; flush?: Flush; change?: PauseChange } {
    if (turn !== 0 && turn <= this.#speech.cutTurn) return { droppedSamples: 0 };
    const cut = turn === 0 ? this.#speech.newestTurn : turn;
    const change = this.#pause.end('interrupt');
    const droppedSamples = this.#speech.cut(turn);
    const fromChunk = this.#firstUnplayed();
    const done = { droppedSamples, ...(change !== undefined && { change }) };
    for (let chunk = fromChunk; chunk < this.#next; chunk++) if ((this.#said.get(chunk)?.turn ?? 0) > cut) return done;
    return { ...done, flush: this.#flush(fromChunk, cut, 'interrupt') };
  }

  /** When the next chunk may be made, on the clock of `nowMs`: now or earlier, later, or never without news. */
  readyAtMs(): number {
    if (this.#next >= this.position.creditEnd) return NEVER;
    const status = this.#status();
    if (status !== 'starving') this.#starvingSinceMs = undefined;
    if (status === 'ready') return 0;
    if (this.options.unpaced) return NEVER;
    if (status === 'idle') return 0;
    this.#starvingSinceMs ??= this.#clock.nowMs();
    return this.#starvingSinceMs + this.options.speechGraceMs;
  }

  /** Takes the next chunk's audio and moves on. Call it only when `readyAtMs` says so. */
  begin(): Job {
    const chunk = this.#next++;
    const piece = this.paused ? this.#speech.silence() : this.#speech.take();
    if (piece.turn > 0) this.#pause.spoke();
    this.#starvingSinceMs = undefined;
    this.#said.set(chunk, { ...piece, epoch: this.#epoch });
    this.#said.delete(chunk - this.options.maxLeadChunks - 2);
    return { ...piece, chunk, epoch: this.#epoch, deadlineUs: this.position.dueUs(chunk) };
  }

  #status(): ReturnType<SpeechQueue['status']> {
    return this.paused ? 'idle' : this.#speech.status();
  }

  /** The first chunk that can still be replaced, or the next one. */
  #firstUnplayed(): number {
    const earliest = this.options.from?.earliest ?? 0;
    return Math.min(this.#next, Math.max(earliest, this.position.firstUnplayed(this.options.flushMarginMs)));
  }

  /** Gives up the idle chunks that wait last and can be made again in time; undefined where none does. */
  #flushIdle(turn: number, cause: FlushCause): Flush | undefined {
    const earliest = this.#firstUnplayed();
    let fromChunk = this.#next;
    while (fromChunk > earliest && this.#said.get(fromChunk - 1)?.turn === 0 && this.canRemake(fromChunk - 1))
      fromChunk--;
    return fromChunk === this.#next ? undefined : this.#flush(fromChunk, turn, cause);
  }

  #flush(fromChunk: number, turn: number, cause: FlushCause): Flush {
    for (let chunk = fromChunk; chunk < this.#next; chunk++) this.#said.delete(chunk);
    this.#next = fromChunk;
    this.#epoch += 1;
    return { epoch: this.#epoch, turn, fromChunk, cause };
  }
}
