import type { Clock } from '@talkmesh/chunk-worker';
import {
  type ChunkGeometry,
  type FlushCause,
  type PauseCause,
  type PlayheadMessage,
  type ResumeCause,
  SPEECH_RATE_HZ,
} from '@talkmesh/contracts';
import { type ChunkSpeech, Pause, type PauseChange } from './pause.js';
import { PlayheadPosition } from './playhead-position.js';
import { type Piece, type PushResult, SpeechQueue, type SpokenPosition } from './speech-queue.js';

export interface SessionOptions {
  readonly sessionId: string;
  readonly epoch: number;
  /** A recording: no idle chunks, no padding inside a turn, no deadlines. */
  readonly unpaced: boolean;
  /** Credit before the first playhead: chunks that may be generated ahead of the start. */
  readonly leadChunks: number;
  /** Most credit that is used, whatever the playhead grants. */
  readonly maxLeadChunks: number;
  /** How long a chunk waits for the rest of its speech before it is padded with silence. */
  readonly speechGraceMs: number;
  /** A chunk that begins to play within this time is not flushed to let speech begin. */
  readonly flushMarginMs: number;
  readonly maxSpeechSamples: number;
  /** At a takeover, the position at which the previous worker stopped. */
  readonly from?: StartPosition;
}

export interface StartPosition {
  /** The next chunk to generate. */
  readonly chunk: number;
  /** No chunk before this one can be flushed: the model state does not reach back further. */
  readonly earliestReplaceable: number;
  /** The speech in each chunk that may still be flushed. */
  readonly chunkSpeech: ReadonlyMap<number, ChunkSpeech>;
  readonly spoken: SpokenPosition;
  /** Undefined when the session is not paused. */
  readonly paused: PauseCause | undefined;
  /** The last known playhead and its age. */
  readonly playhead?: { readonly message: PlayheadMessage; readonly ageMs: number };
}

/** Start of a new epoch: chunks >= fromChunk of older epochs are dropped. */
export interface Flush {
  readonly epoch: number;
  readonly turn: number;
  readonly fromChunk: number;
  /** The player stops in the middle of what it plays, if that is this chunk or a later one. Undefined: it plays up to `fromChunk`. */
  readonly cutFrom?: number;
  readonly cause: FlushCause;
}

export interface PlannedChunk extends Piece {
  readonly chunk: number;
  readonly epoch: number;
  readonly deadlineUs: number;
  /** See `LatentMessage`. */
  readonly endsIdle: boolean;
}

/** What the plan of one session depends on besides the session. */
export interface WorkerOutlook {
  /** Whether chunks from this one on could be flushed and generated again without making any session late. */
  canRegenerate(chunk: number): boolean;
  /** From the start of a chunk until the player has it, milliseconds. */
  makeMs(): number;
}

/** When the first and the newest speech of a turn arrived, and how long the newest piece sounds. */
interface Arrival {
  readonly firstMs: number;
  lastMs: number;
  pieceMs: number;
}

const NEVER = Number.POSITIVE_INFINITY;
const msOf = (samples: number): number => (samples * 1000) / SPEECH_RATE_HZ;
/** So much more speech than time passed, in chunks, lets a turn begin before its chunk is due. A source at the speed of sound has none. */
const LEAST_AHEAD = 0.25;
/** Messages that arrive within this time of each other are one piece of speech, milliseconds. */
const TOGETHER_MS = 10;

/** Decides what a session's next chunk contains, when it may be generated, and which chunks a command flushes. It runs no model. */
export class ChunkPlanner {
  readonly options: SessionOptions;
  readonly position: PlayheadPosition;
  readonly #clock: Clock;
  readonly #outlook: WorkerOutlook;
  readonly #chunkMs: number;
  readonly #speech: SpeechQueue;
  readonly #pause: Pause;
  /** The speech in each chunk that may still be flushed or cut: a pause returns it to the queue. */
  readonly #chunkSpeech: Map<number, ChunkSpeech>;
  #epoch: number;
  #next: number;
  #starvingSinceMs: number | undefined;
  /** The newest turn whose first chunk has been full or complete. */
  #begunTurn = 0;
  /** The player holds its picture until it has this chunk. */
  #afterCut: number | undefined;
  /** Of each unfinished turn. */
  readonly #arrivals = new Map<number, Arrival>();

  constructor(
    options: SessionOptions,
    geometry: ChunkGeometry,
    clock: Clock,
    outlook: WorkerOutlook = { canRegenerate: () => true, makeMs: () => 0 },
  ) {
    this.#outlook = outlook;
    this.#chunkMs = geometry.chunkMs;
    this.options = options;
    this.#epoch = options.epoch;
    this.#clock = clock;
    const { from, maxSpeechSamples: maxSamples } = options;
    this.#next = from?.chunk ?? 0;
    this.#chunkSpeech = new Map(from?.chunkSpeech);
    const { samplesPerChunk } = geometry;
    this.#speech = new SpeechQueue({ samplesPerChunk, maxSamples, ...(from !== undefined && { from: from.spoken }) });
    this.#pause = new Pause(this.#speech, geometry.samplesPerFrame, clock, from?.paused);
    this.position = new PlayheadPosition({
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

  /** Samples of speech that no chunk has taken yet. */
  get waitingSamples(): number {
    return this.#speech.samples;
  }

  get isPaused(): boolean {
    return this.#pause.isOn;
  }

  /** Whether the next chunk belongs to a turn. */
  get isNextSpeech(): boolean {
    return this.#status() !== 'idle';
  }

  onPlayhead(playhead: PlayheadMessage): void {
    this.position.update(playhead, this.options.maxLeadChunks);
    this.#pause.onPlayhead(playhead);
  }

  /** Queues speech. When a turn can begin, it flushes the waiting idle chunks that can be regenerated in time, and begins in their place. */
  onSpeech(
    turn: number,
    pcm: Int16Array,
    endOfTurn: boolean,
    fromSample?: number,
  ): { result: PushResult; flush?: Flush } {
    const result = this.#speech.push(turn, pcm, endOfTurn, fromSample);
    if (result === 'first' || result === 'queued') this.#arrived(turn, pcm.length);
    const { turn: head, turnSamples } = this.#speech.position;
    if (turnSamples > 0 || head <= this.#begunTurn || this.#status() !== 'ready') return { result };
    this.#begunTurn = head;
    const flush = this.#flushIdle(head, 'speech');
    return { result, ...(flush !== undefined && { flush }) };
  }

  /** Silences the player and returns the speech that it has not played to the queue. @returns undefined when already paused for this cause */
  onPause(cause: PauseCause): { change: PauseChange; flush?: Flush } | undefined {
    if (this.isPaused) {
      const change = this.#pause.changeCause(cause);
      return change && { change };
    }
    this.#starvingSinceMs = undefined;
    let fromChunk = this.#firstAfterPlayed();
    const cutFrom = this.#speechToCut(fromChunk);
    while (cutFrom === undefined && fromChunk < this.#next && !this.#chunkSpeech.get(fromChunk)?.turn) fromChunk++;
    const back = [...this.#chunkSpeech].filter(([chunk]) => chunk >= (cutFrom ?? fromChunk));
    const { turn } = back[0]?.[1] ?? { turn: 0 };
    const isFlushed = cutFrom !== undefined || fromChunk < this.#next;
    const flush = isFlushed ? this.#flush(fromChunk, turn, 'pause', cutFrom) : undefined;
    const change = this.#pause.begin(new Map(back), cause, this.position.last);
    return { change, ...(flush !== undefined && { flush }) };
  }

  /** Flushes the idle chunks of the pause; speech continues with the sample after the last one played. @returns undefined when not paused */
  onResume(cause: ResumeCause): { change: PauseChange; flush?: Flush } | undefined {
    const change = this.#pause.end(cause);
    if (change === undefined) return undefined;
    const speaks = this.#speech.hasSpeech && this.#status() !== 'idle';
    const flush = speaks ? this.#flushIdle(change.turn, 'resume') : undefined;
    return { change, ...(flush !== undefined && { flush }) };
  }

  /** Cuts a turn and all before it (0: all turns), and ends a pause. Nothing is flushed when unplayed chunks already speak a newer turn. */
  onInterrupt(turn: number): { droppedSamples: number; flush?: Flush; change?: PauseChange } {
    if (turn !== 0 && turn <= this.#speech.cutTurn) return { droppedSamples: 0 };
    const cut = turn === 0 ? this.#speech.newestTurn : turn;
    const change = this.#pause.end('interrupt');
    const droppedSamples = this.#speech.cut(turn);
    const fromChunk = this.#firstAfterPlayed();
    const done = { droppedSamples, ...(change !== undefined && { change }) };
    for (let chunk = fromChunk; chunk < this.#next; chunk++)
      if ((this.#chunkSpeech.get(chunk)?.turn ?? 0) > cut) return done;
    const cutFrom = this.#speechToCut(fromChunk, cut);
    return { ...done, flush: this.#flush(fromChunk, cut, 'interrupt', cutFrom) };
  }

  /** Starts the grace period when the next chunk lacks speech of its turn, and ends it when the speech has arrived. Call it before `readyAtMs`. */
  updateGrace(): void {
    if (this.#next >= this.position.creditEnd) return;
    if (this.#status() !== 'starving') this.#starvingSinceMs = undefined;
    else if (!this.options.unpaced) this.#starvingSinceMs ??= this.#awaitedSinceMs();
  }

  /** When the next chunk may be generated, on the clock of `nowMs`. 0: now. Infinity: not before a playhead or speech arrives. */
  readyAtMs(): number {
    if (this.#next >= this.position.creditEnd) return NEVER;
    const status = this.#status();
    if (status === 'ready') return 0;
    if (this.options.unpaced) return NEVER;
    // An idle chunk that is made early would only be flushed when the turn begins.
    if (status === 'idle') return this.#awaitsFirstChunk() ? this.#latestStartMs() - this.options.flushMarginMs : 0;
    return Math.max((this.#starvingSinceMs ?? this.#clock.nowMs()) + this.options.speechGraceMs, this.#latestStartMs());
  }

  /** The latest time to begin the next chunk, on the clock of `nowMs`; until then speech that is missing may still come. */
  #latestStartMs(): number {
    const dueUs = this.position.dueUs(this.#next);
    if (dueUs === 0) return 0;
    const untilDueMs = (dueUs - this.#clock.wallUs()) / 1000;
    return this.#clock.nowMs() + untilDueMs - this.#outlook.makeMs();
  }

  /** Takes the audio of the next chunk. Call it only once the time of `readyAtMs` has come. */
  takeNext(): PlannedChunk {
    const chunk = this.#next++;
    const piece = this.#status() === 'idle' ? this.#speech.silence() : this.#speech.take();
    if (piece.turn > 0) this.#pause.onSpeechTaken();
    this.#starvingSinceMs = undefined;
    const endsIdle = piece.turn > 0 && this.#mayEndIdle(chunk - 1) && this.#isAhead(piece);
    for (const turn of this.#arrivals.keys()) if (turn <= piece.closedTurn) this.#arrivals.delete(turn);
    this.#chunkSpeech.set(chunk, { ...piece, epoch: this.#epoch });
    // The credits keep the playhead within `maxLeadChunks`, so older chunks have been played.
    this.#chunkSpeech.delete(chunk - this.options.maxLeadChunks - 2);
    return { ...piece, chunk, epoch: this.#epoch, deadlineUs: this.#deadlineUs(chunk), endsIdle };
  }

  /** A chunk that the player waits for is due when it can be there: the time of its place has passed or is short, and to hold it would leave the mouth open. */
  #deadlineUs(chunk: number): number {
    const dueUs = this.position.dueUs(chunk);
    if (dueUs === 0 || chunk !== this.#afterCut) return dueUs;
    const madeMs = this.#outlook.makeMs() + this.options.flushMarginMs;
    return Math.max(dueUs, Math.round(this.#clock.wallUs() + madeMs * 1000));
  }

  #status(): ReturnType<SpeechQueue['status']> {
    return this.isPaused || this.#awaitsFirstChunk() ? 'idle' : this.#speech.status();
  }

  /** Its first chunk has waited since the speech stopped coming. */
  #awaitedSinceMs(): number {
    return this.#firstChunkArrival()?.lastMs ?? this.#clock.nowMs();
  }

  /** What arrived of the next turn, as long as none of it was taken. */
  #firstChunkArrival(): Arrival | undefined {
    const { turn, turnSamples } = this.#speech.position;
    return turnSamples === 0 ? this.#arrivals.get(turn) : undefined;
  }

  /** A turn begins with a full chunk as long as its speech keeps coming: a gap after the first sound is worse than a later begin. */
  #awaitsFirstChunk(): boolean {
    const arrived = this.#firstChunkArrival();
    if (this.options.unpaced || arrived === undefined) return false;
    // A source that is as fast as its speech sounds sends the next piece when the last one would end.
    const waitMs = arrived.pieceMs + this.options.speechGraceMs;
    return this.#speech.status() === 'starving' && this.#clock.nowMs() - arrived.lastMs < waitMs;
  }

  #arrived(turn: number, samples: number): void {
    const atMs = this.#clock.nowMs();
    const pieceMs = msOf(samples);
    const known = this.#arrivals.get(turn);
    if (known === undefined) this.#arrivals.set(turn, { firstMs: atMs, lastMs: atMs, pieceMs });
    if (known === undefined || samples === 0) return;
    // What comes together was sent as one piece.
    known.pieceMs = atMs - known.lastMs < TOGETHER_MS ? known.pieceMs + pieceMs : pieceMs;
    known.lastMs = atMs;
  }

  /** Whether the player can tell the next chunk from this idle one by its epoch, and leave this one for it. */
  #mayEndIdle(before: number): boolean {
    return this.#isPlayedIdle(before) && (this.#chunkSpeech.get(before)?.epoch ?? 0) < this.#epoch;
  }

  /** Whether a chunk is idle, for a player that runs. */
  #isPlayedIdle(chunk: number): boolean {
    return this.position.isRunning && this.#chunkSpeech.get(chunk)?.turn === 0;
  }

  /** Whether enough speech follows a piece that was taken: it is played sooner than it was due, and the next one is due sooner too. */
  #isAhead({ turn, turnSamples, endOfTurn }: Piece): boolean {
    if (endOfTurn || this.#speech.isComplete(turn)) return true;
    const queuedMs = msOf(this.#speech.samples);
    const arrived = this.#arrivals.get(turn);
    if (queuedMs >= this.#chunkMs || arrived === undefined) return true;
    // The newest piece may be all that comes until it would have sounded.
    const { firstMs, lastMs, pieceMs } = arrived;
    const aheadMs = queuedMs + msOf(turnSamples) - pieceMs - (lastMs - firstMs);
    return aheadMs >= this.#chunkMs * LEAST_AHEAD;
  }

  /** The chunk after the one that is played, which silence may replace at once; what the player has of it by then is not lost. */
  #firstAfterPlayed(): number {
    return Math.min(this.#next, Math.max(this.options.from?.earliestReplaceable ?? 0, this.position.chunk + 1));
  }

  /** The chunk that is played, if it speaks a turn up to `turn` and the next one is flushed: for a later one the player has no credit. */
  #speechToCut(fromChunk: number, turn = Number.POSITIVE_INFINITY): number | undefined {
    const { chunk, isRunning } = this.position;
    const spoken = this.#chunkSpeech.get(chunk)?.turn ?? 0;
    return isRunning && fromChunk === chunk + 1 && spoken > 0 && spoken <= turn ? chunk : undefined;
  }

  /** The first chunk that a flush can still replace; the next one when there is none. */
  #firstReplaceable(): number {
    const earliest = this.options.from?.earliestReplaceable ?? 0;
    return Math.min(this.#next, Math.max(earliest, this.position.firstUnplayed(this.options.flushMarginMs)));
  }

  /** Flushes idle chunks from the newest one back, as far as they can be regenerated in time. @returns undefined when speech follows speech */
  #flushIdle(turn: number, cause: FlushCause): Flush | undefined {
    const earliest = this.#firstReplaceable();
    let fromChunk = this.#next;
    while (
      fromChunk > earliest &&
      this.#chunkSpeech.get(fromChunk - 1)?.turn === 0 &&
      this.#outlook.canRegenerate(fromChunk - 1)
    )
      fromChunk--;
    // The player leaves the idle chunk before for speech of a newer epoch, so that one begins although nothing is dropped.
    return fromChunk === this.#next && !this.#isPlayedIdle(this.#next - 1)
      ? undefined
      : this.#flush(fromChunk, turn, cause);
  }

  #flush(fromChunk: number, turn: number, cause: FlushCause, cutFrom?: number): Flush {
    for (let chunk = cutFrom ?? fromChunk; chunk < this.#next; chunk++) this.#chunkSpeech.delete(chunk);
    this.#next = fromChunk;
    if (cutFrom !== undefined) this.#afterCut = fromChunk;
    this.#epoch += 1;
    return { epoch: this.#epoch, turn, fromChunk, ...(cutFrom !== undefined && { cutFrom }), cause };
  }
}
