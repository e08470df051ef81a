import type { Clock } from '@talkmesh/chunk-worker';
import type { ChunkGeometry, FlushCause, PauseCause, PlayheadMessage, ResumeCause } from '@talkmesh/contracts';
import { type ChunkSpeech, Pause, type PauseChange } from './pause.js';
import { PlayheadPosition } from './playhead-position.js';
import { msOf, type SpeechArrival, SpeechArrivals } from './speech-arrivals.js';
import { type ChunkAudio, type PushResult, SpeechQueue, type SpokenPosition } from './speech-queue.js';

export interface SessionOptions {
  readonly sessionId: string;
  /** The epoch of the first chunk. */
  readonly epoch: number;
  /** No clock plays the session, because it is a recording: no idle chunks, no padding inside a turn, no deadlines. */
  readonly unpaced: boolean;
  /** Credit before the first playhead: so many chunks may be generated before the player reports anything. */
  readonly leadChunks: number;
  /** Credits beyond this number are not used: it bounds what is kept for rolling back. */
  readonly maxLeadChunks: number;
  /** Least time that a chunk waits for the rest of its speech before it is padded with silence, milliseconds. It waits on while it can be made in time. */
  readonly speechGraceMs: number;
  /** Time to spare, milliseconds. A chunk that is played sooner than this is not replaced when speech begins. */
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
  /** What each chunk speaks that may still be flushed. */
  readonly chunkSpeech: ReadonlyMap<number, ChunkSpeech>;
  readonly spoken: SpokenPosition;
  /** Undefined when the session is not paused. */
  readonly paused: PauseCause | undefined;
  /** The last known playhead and its age. */
  readonly playhead?: { readonly message: PlayheadMessage; readonly ageMs: number };
}

/** The event `flush`, which begins an epoch: chunks >= fromChunk of older epochs are dropped. */
export interface Flush {
  readonly epoch: number;
  /** The turn that begins, stops or goes on; 0: none. */
  readonly turn: number;
  readonly fromChunk: number;
  /**
   * The chunk that was playing when the flush was decided. The player drops the rest of this chunk at once, and what it has of
   * later ones. Undefined: every chunk before `fromChunk` is played to its end.
   */
  readonly cutFrom?: number;
  readonly cause: FlushCause;
}

export interface PlannedChunk extends ChunkAudio {
  readonly chunk: number;
  readonly epoch: number;
  /** Unix time in microseconds at which the player needs the chunk; 0: no deadline. */
  readonly deadlineUs: number;
  /** Speech begins: the player leaves the idle chunk that it plays as soon as this chunk is there. */
  readonly endsIdle: boolean;
}

/** What the worker expects, from its measurements and the load of all its sessions. */
export interface WorkerEstimates {
  /** Whether chunks from this one on could be flushed and generated again without making any session late. */
  canRegenerate(chunk: number): boolean;
  /** Time from the start of a chunk's generation until the player has the chunk, milliseconds. */
  makeMs(): number;
}

const NEVER = Number.POSITIVE_INFINITY;
/**
 * A turn may end the idle chunk before it only when its speech is at least this far ahead of real time, in chunks. A source that
 * sends in real time is never ahead.
 */
const MIN_AHEAD_CHUNKS = 0.25;

/**
 * Decides what a session's next chunk contains, when it may be generated, and which chunks a command flushes. It runs no model.
 *
 * The player is webrtc-egress. It reports its playhead: the last frame that it played, and how many chunks beyond it may be
 * generated (credits). For each chunk call `updateGrace`, then `readyAtMs`, and once that time has come `takeNext`.
 */
export class ChunkPlanner {
  readonly options: SessionOptions;
  /** Where the player is. */
  readonly position: PlayheadPosition;
  readonly #clock: Clock;
  readonly #estimates: WorkerEstimates;
  readonly #chunkMs: number;
  readonly #speech: SpeechQueue;
  readonly #pause: Pause;
  /** What each chunk speaks that may still be flushed or cut; idle chunks speak turn 0. A pause returns speech to the queue. */
  readonly #chunkSpeech: Map<number, ChunkSpeech>;
  #epoch: number;
  /** The chunk that is taken next. */
  #next: number;
  #starvingSinceMs: number | undefined;
  /** The newest turn that has begun: more than a chunk of its speech had arrived, or all of it. */
  #begunTurn = 0;
  /** The chunk that follows a cut: until the player has it, the last frame stays. */
  #chunkAfterCut: number | undefined;
  readonly #arrivals: SpeechArrivals;

  constructor(
    options: SessionOptions,
    geometry: ChunkGeometry,
    clock: Clock,
    estimates: WorkerEstimates = { canRegenerate: () => true, makeMs: () => 0 },
  ) {
    this.#estimates = estimates;
    this.#chunkMs = geometry.chunkMs;
    this.options = options;
    this.#epoch = options.epoch;
    this.#clock = clock;
    this.#arrivals = new SpeechArrivals(clock);
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

  /**
   * Queues speech. When a turn can begin, it flushes idle chunks that are not played yet and takes their place, as far as speech
   * can be generated in time for them.
   * @param fromSample samples of the turn before `pcm`; undefined: `pcm` follows what was queued
   * @returns what became of the speech
   */
  onSpeech(
    turn: number,
    pcm: Int16Array,
    endOfTurn: boolean,
    fromSample?: number,
  ): { result: PushResult; flush?: Flush } {
    const result = this.#speech.push(turn, pcm, endOfTurn, fromSample);
    if (result === 'first' || result === 'queued') this.#arrivals.add(turn, pcm.length);
    const { turn: next, turnSamples } = this.#speech.nextTurn;
    if (turnSamples > 0 || next <= this.#begunTurn || this.#status() !== 'ready') return { result };
    this.#begunTurn = next;
    const flush = this.#flushIdle(next, 'speech');
    return { result, ...(flush !== undefined && { flush }) };
  }

  /**
   * Silences the player and returns the speech that it has not played to the queue.
   * @returns undefined when the session is already paused for this cause
   */
  onPause(cause: PauseCause): { change: PauseChange; flush?: Flush } | undefined {
    if (this.isPaused) {
      const change = this.#pause.changeCause(cause);
      return change && { change };
    }
    this.#starvingSinceMs = undefined;
    let fromChunk = this.#firstAfterPlayed();
    const cutChunk = this.#chunkToCut(fromChunk);
    // Idle chunks before the speech stay: they are silent already.
    const isIdle = (chunk: number): boolean => !this.#chunkSpeech.get(chunk)?.turn;
    while (cutChunk === undefined && fromChunk < this.#next && isIdle(fromChunk)) fromChunk++;
    const back = [...this.#chunkSpeech].filter(([chunk]) => chunk >= (cutChunk ?? fromChunk));
    const { turn } = back[0]?.[1] ?? { turn: 0 };
    const isFlushed = cutChunk !== undefined || fromChunk < this.#next;
    const flush = isFlushed ? this.#flush(fromChunk, turn, 'pause', cutChunk) : undefined;
    const change = this.#pause.begin(new Map(back), cause, this.position.last);
    return { change, ...(flush !== undefined && { flush }) };
  }

  /**
   * Flushes the idle chunks of the pause; speech continues with the sample after the last one played.
   * @returns undefined when the session is not paused
   */
  onResume(cause: ResumeCause): { change: PauseChange; flush?: Flush } | undefined {
    const change = this.#pause.end(cause);
    if (change === undefined) return undefined;
    const canSpeak = this.#speech.hasSpeech && this.#status() !== 'idle';
    const flush = canSpeak ? this.#flushIdle(change.turn, 'resume') : undefined;
    return { change, ...(flush !== undefined && { flush }) };
  }

  /**
   * Cuts a turn and all before it (0: all turns), and ends a pause. When an unplayed chunk already speaks a newer turn, the
   * interrupt came late and nothing is flushed: a flush would drop that chunk too, and its speech has left the queue. Then
   * chunks of the cut turn that were generated are still played.
   */
  onInterrupt(turn: number): { droppedSamples: number; flush?: Flush; change?: PauseChange } {
    if (turn !== 0 && turn <= this.#speech.cutTurn) return { droppedSamples: 0 };
    const cut = turn === 0 ? this.#speech.newestTurn : turn;
    const change = this.#pause.end('interrupt');
    const droppedSamples = this.#speech.cut(turn);
    const fromChunk = this.#firstAfterPlayed();
    const done = { droppedSamples, ...(change !== undefined && { change }) };
    for (let chunk = fromChunk; chunk < this.#next; chunk++)
      if ((this.#chunkSpeech.get(chunk)?.turn ?? 0) > cut) return done;
    const cutChunk = this.#chunkToCut(fromChunk, cut);
    return { ...done, flush: this.#flush(fromChunk, cut, 'interrupt', cutChunk) };
  }

  /** Starts the grace period when the next chunk lacks speech of its turn, and ends it when the speech has arrived. */
  updateGrace(): void {
    if (this.#next >= this.position.creditEnd) return;
    if (this.#status() !== 'starving') this.#starvingSinceMs = undefined;
    // The first chunk of a turn has lacked speech since its newest piece arrived.
    else if (!this.options.unpaced)
      this.#starvingSinceMs ??= this.#arrivalBeforeFirstChunk()?.lastMs ?? this.#clock.nowMs();
  }

  /**
   * When the next chunk may be generated, on the clock of `nowMs`. A time that has passed, such as 0, means now. Infinity: not
   * before a playhead or speech arrives.
   */
  readyAtMs(): number {
    if (this.#next >= this.position.creditEnd) return NEVER;
    const status = this.#status();
    if (status === 'ready') return 0;
    if (this.options.unpaced) return NEVER;
    // While the first chunk of a turn fills, an idle chunk that is made early would only be flushed when the turn begins.
    if (status === 'idle') return this.#awaitsFirstChunk() ? this.#latestStartMs() - this.options.flushMarginMs : 0;
    // A chunk that lacks speech waits for the grace, and longer while it can be made in time.
    return Math.max((this.#starvingSinceMs ?? this.#clock.nowMs()) + this.options.speechGraceMs, this.#latestStartMs());
  }

  /**
   * The latest time to start generating the next chunk, on the clock of `nowMs`, to be in time; 0 while the player does not run.
   * Other services read when a chunk is due, so that is a Unix time (`wallUs`); this worker waits on its monotonic clock.
   */
  #latestStartMs(): number {
    const dueUs = this.position.dueUs(this.#next);
    if (dueUs === 0) return 0;
    const untilDueMs = (dueUs - this.#clock.wallUs()) / 1000;
    return this.#clock.nowMs() + untilDueMs - this.#estimates.makeMs();
  }

  /** Takes the audio of the next chunk. Call it only once the time of `readyAtMs` has come. */
  takeNext(): PlannedChunk {
    const chunk = this.#next++;
    const audio = this.#status() === 'idle' ? this.#speech.silence() : this.#speech.take();
    if (audio.turn > 0) this.#pause.onSpeechTaken();
    this.#starvingSinceMs = undefined;
    const endsIdle = audio.turn > 0 && this.#canEnd(chunk - 1) && this.#isAhead(audio);
    this.#arrivals.forget(audio.closedTurn);
    this.#chunkSpeech.set(chunk, { ...audio, epoch: this.#epoch });
    // The player is less than `maxLeadChunks` behind, because of the credits: older chunks were played. Two more are kept to spare.
    this.#chunkSpeech.delete(chunk - this.options.maxLeadChunks - 2);
    return { ...audio, chunk, epoch: this.#epoch, deadlineUs: this.#deadlineUs(chunk), endsIdle };
  }

  /**
   * After a cut the last frame stays until the next chunk arrives. The scheduled time of that chunk may be too soon to make it,
   * or past. Then its deadline is the earliest time at which it can be there; otherwise it would be published without images,
   * and the mouth would stay open.
   */
  #deadlineUs(chunk: number): number {
    const dueUs = this.position.dueUs(chunk);
    if (dueUs === 0 || chunk !== this.#chunkAfterCut) return dueUs;
    const madeMs = this.#estimates.makeMs() + this.options.flushMarginMs;
    return Math.max(dueUs, Math.round(this.#clock.wallUs() + madeMs * 1000));
  }

  #status(): ReturnType<SpeechQueue['status']> {
    return this.isPaused || this.#awaitsFirstChunk() ? 'idle' : this.#speech.status();
  }

  /** When the speech of the next turn arrived; undefined once a chunk of the turn was taken. */
  #arrivalBeforeFirstChunk(): SpeechArrival | undefined {
    const { turn, turnSamples } = this.#speech.nextTurn;
    return turnSamples === 0 ? this.#arrivals.of(turn) : undefined;
  }

  /**
   * Whether the next turn waits until its first chunk is full. It does as long as its speech keeps coming: a gap after the first
   * word is worse than a later start.
   */
  #awaitsFirstChunk(): boolean {
    const arrived = this.#arrivalBeforeFirstChunk();
    if (this.options.unpaced || arrived === undefined) return false;
    // A source that sends in real time sends the next piece when the last one would end.
    const waitMs = arrived.pieceMs + this.options.speechGraceMs;
    return this.#speech.status() === 'starving' && this.#clock.nowMs() - arrived.lastMs < waitMs;
  }

  /** Whether the chunk after this one may end it. The player drops a chunk only for a newer epoch. */
  #canEnd(chunk: number): boolean {
    return this.#canBeLeft(chunk) && (this.#chunkSpeech.get(chunk)?.epoch ?? 0) < this.#epoch;
  }

  /**
   * Whether the player would leave a chunk in its middle when speech begins: the chunk is idle and the player runs. A recording,
   * and a session that nothing plays yet, play each chunk to its end.
   */
  #canBeLeft(chunk: number): boolean {
    return this.position.isRunning && this.#chunkSpeech.get(chunk)?.turn === 0;
  }

  /**
   * Whether enough speech has arrived to play this chunk before its scheduled time. All chunks after it are then due sooner too,
   * so a turn with less speech would have a gap.
   */
  #isAhead({ turn, turnSamples, endOfTurn }: ChunkAudio): boolean {
    if (endOfTurn || this.#speech.isComplete(turn)) return true;
    const queuedMs = msOf(this.#speech.samples);
    if (queuedMs >= this.#chunkMs) return true;
    // Undefined: this worker took over in the middle of the turn and does not know the source.
    const aheadMs = this.#arrivals.aheadMs(turn, msOf(turnSamples) + queuedMs);
    return aheadMs === undefined || aheadMs >= this.#chunkMs * MIN_AHEAD_CHUNKS;
  }

  /**
   * The chunk after the last reported playhead, from which a pause or an interrupt flushes. The player may have begun it by now,
   * and drops the rest of it: a pause keeps that speech, an interrupt cuts it.
   */
  #firstAfterPlayed(): number {
    return Math.min(this.#next, Math.max(this.options.from?.earliestReplaceable ?? 0, this.position.chunk + 1));
  }

  /**
   * The chunk that is played, when the player has to drop the rest of it: it speaks a turn up to `turn`, and the flush begins with
   * the chunk right after it. After a takeover the flush may begin later (`earliestReplaceable`). Then nothing is cut: the player
   * would wait for a chunk that its credits may not reach.
   */
  #chunkToCut(fromChunk: number, turn = Number.POSITIVE_INFINITY): number | undefined {
    const { chunk, isRunning } = this.position;
    const spoken = this.#chunkSpeech.get(chunk)?.turn ?? 0;
    return isRunning && fromChunk === chunk + 1 && spoken > 0 && spoken <= turn ? chunk : undefined;
  }

  /** The first chunk that speech can still replace in time; `#next` when there is none. */
  #firstReplaceable(): number {
    const earliest = this.options.from?.earliestReplaceable ?? 0;
    return Math.min(this.#next, Math.max(earliest, this.position.firstUnplayed(this.options.flushMarginMs)));
  }

  /**
   * Flushes idle chunks from the newest one back, as far as speech can be generated in time for them.
   * @returns undefined when there is nothing to flush, and no idle chunk that the player can leave
   */
  #flushIdle(turn: number, cause: FlushCause): Flush | undefined {
    const earliest = this.#firstReplaceable();
    const canReplace = (chunk: number): boolean =>
      this.#chunkSpeech.get(chunk)?.turn === 0 && this.#estimates.canRegenerate(chunk);
    let fromChunk = this.#next;
    while (fromChunk > earliest && canReplace(fromChunk - 1)) fromChunk--;
    // The player leaves an idle chunk only for speech of a newer epoch, so an epoch begins although no generated chunk is dropped.
    if (fromChunk === this.#next && !this.#canBeLeft(this.#next - 1)) return undefined;
    return this.#flush(fromChunk, turn, cause);
  }

  #flush(fromChunk: number, turn: number, cause: FlushCause, cutChunk?: number): Flush {
    for (let chunk = cutChunk ?? fromChunk; chunk < this.#next; chunk++) this.#chunkSpeech.delete(chunk);
    this.#next = fromChunk;
    if (cutChunk !== undefined) this.#chunkAfterCut = fromChunk;
    this.#epoch += 1;
    return { epoch: this.#epoch, turn, fromChunk, ...(cutChunk !== undefined && { cutFrom: cutChunk }), cause };
  }
}
