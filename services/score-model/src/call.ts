import type { ChunkGeometry, PlayheadMessage } from '@talkmesh/contracts';
import type { Clock } from './clock.js';
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
  /** Turn of each chunk before it that may still be rolled back. */
  readonly turnOf: ReadonlyMap<number, number>;
  readonly spoken: SpokenPosition;
  /** The last position known, and its age. */
  readonly playhead?: { readonly message: PlayheadMessage; readonly ageMs: number };
}

/** Chunks >= fromChunk of older epochs are to be forgotten. */
export interface Flush {
  readonly epoch: number;
  readonly turn: number;
  readonly fromChunk: number;
  readonly cause: 'interrupt' | 'speech' | 'resume';
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
  readonly #clock: Clock;
  readonly #speech: SpeechQueue;
  /** Turn of each chunk that may still be rolled back, by chunk. */
  readonly #turnOf: Map<number, number>;
  #epoch: number;
  #next: number;
  #starvingSinceMs: number | undefined;

  constructor(options: CallOptions, geometry: ChunkGeometry, clock: Clock) {
    this.options = options;
    this.#epoch = options.epoch;
    this.#clock = clock;
    const { from, maxSpeechSamples: maxSamples } = options;
    this.#next = from?.chunk ?? 0;
    this.#turnOf = new Map(from?.turnOf);
    const { samplesPerChunk } = geometry;
    this.#speech = new SpeechQueue({ samplesPerChunk, maxSamples, ...(from !== undefined && { from: from.spoken }) });
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

  /** Whether the next chunk belongs to a turn. */
  get speaksNext(): boolean {
    return this.#speech.status() !== 'idle';
  }

  onPlayhead(playhead: PlayheadMessage): void {
    this.position.update(playhead, this.options.maxLeadChunks);
  }

  /** Queues speech. The first of a turn flushes idle chunks that wait, so that it is heard in the very next one. */
  onSpeech(
    turn: number,
    pcm: Int16Array,
    endOfTurn: boolean,
    fromSample?: number,
  ): { result: PushResult; flush?: Flush } {
    const result = this.#speech.push(turn, pcm, endOfTurn, fromSample);
    if (result !== 'first') return { result };
    let fromChunk = this.#next;
    const earliest = this.position.firstUnplayed(this.options.flushMarginMs);
    while (fromChunk > earliest && this.#turnOf.get(fromChunk - 1) === 0) fromChunk--;
    if (fromChunk === this.#next) return { result };
    return { result, flush: this.#flush(fromChunk, turn, 'speech') };
  }

  /** Cuts a turn and everything before it (0: everything). Undefined when a newer turn is being spoken already. */
  onInterrupt(turn: number): { droppedSamples: number; flush?: Flush } {
    const cut = turn === 0 ? this.#speech.newestTurn : turn;
    const droppedSamples = this.#speech.cut(turn);
    const earliest = Math.max(
      this.options.from?.earliest ?? 0,
      this.position.firstUnplayed(this.options.flushMarginMs),
    );
    const fromChunk = Math.min(earliest, this.#next);
    for (let chunk = fromChunk; chunk < this.#next; chunk++)
      if ((this.#turnOf.get(chunk) ?? 0) > cut) return { droppedSamples };
    return { droppedSamples, flush: this.#flush(fromChunk, cut, 'interrupt') };
  }

  /** When the next chunk may be made, on the clock of `nowMs`: now or earlier, later, or never without news. */
  readyAtMs(): number {
    if (this.#next >= this.position.creditEnd) return NEVER;
    const status = this.#speech.status();
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
    const piece = this.#speech.take();
    this.#starvingSinceMs = undefined;
    this.#turnOf.set(chunk, piece.turn);
    this.#turnOf.delete(chunk - this.options.maxLeadChunks - 2);
    return { ...piece, chunk, epoch: this.#epoch, deadlineUs: this.position.dueUs(chunk) };
  }

  #flush(fromChunk: number, turn: number, cause: Flush['cause']): Flush {
    for (let chunk = fromChunk; chunk < this.#next; chunk++) this.#turnOf.delete(chunk);
    this.#next = fromChunk;
    this.#epoch += 1;
    return { epoch: this.#epoch, turn, fromChunk, cause };
  }
}
