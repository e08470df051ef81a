import type { Clock } from '@talkmesh/chunk-worker';
import type { PlayheadMessage } from '@talkmesh/contracts';

export interface UnplayedOptions {
  readonly chunkMs: number;
  /** Age of the playhead, milliseconds. */
  readonly ageMs: number;
  /** A chunk that begins to play within this time counts as played, milliseconds. */
  readonly marginMs: number;
}

/**
 * First chunk that is not being played and will not be within the margin. The position is extrapolated for at most one
 * chunk: a player that sends no playhead for longer may have stopped. A player at media time 0 has not started.
 */
export function firstUnplayedChunk(
  { chunk, mediaTimeUs }: Pick<PlayheadMessage, 'chunk' | 'mediaTimeUs'>,
  { chunkMs, ageMs, marginMs }: UnplayedOptions,
): number {
  const aheadMs = mediaTimeUs > 0 ? Math.min(Math.max(0, ageMs), chunkMs) + marginMs : 0;
  const playing = Math.floor((mediaTimeUs + aheadMs * 1000) / (chunkMs * 1000));
  return Math.max(chunk, playing) + 1;
}

/** Where the egress plays, from its playhead messages and the time since the last one. */
export class PlayheadPosition {
  readonly #clock: Clock;
  readonly #chunkUs: number;
  readonly #paced: boolean;
  readonly #firstChunk: number;
  #seenAtMs = 0;
  #seenAtUs = 0;
  #last: PlayheadMessage | undefined;
  #creditChunks: number;

  /** @param options.chunk where the session begins */
  constructor(options: { clock: Clock; chunkUs: number; paced: boolean; creditChunks: number; chunk?: number }) {
    this.#firstChunk = options.chunk ?? 0;
    this.#clock = options.clock;
    this.#chunkUs = options.chunkUs;
    this.#paced = options.paced;
    this.#creditChunks = options.creditChunks;
  }

  /** @param ageMs age of the playhead, milliseconds */
  update(playhead: PlayheadMessage, maxCreditChunks: number, ageMs = 0): void {
    this.#last = playhead;
    this.#creditChunks = Math.min(playhead.creditChunks, maxCreditChunks);
    this.#seenAtMs = this.#clock.nowMs() - ageMs;
    this.#seenAtUs = this.#clock.wallUs() - ageMs * 1000;
  }

  /** The chunk of the last playhead; before the first, where the session begins. */
  get chunk(): number {
    return this.#last?.chunk ?? this.#firstChunk;
  }

  get #mediaTimeUs(): number {
    return this.#last?.mediaTimeUs ?? 0;
  }

  /** The last playhead; undefined before the first. */
  get last(): PlayheadMessage | undefined {
    return this.#last;
  }

  get creditEnd(): number {
    return this.chunk + this.#creditChunks;
  }

  /** False before the first frame is played, and for a recording: chunks have no deadlines then. */
  get isRunning(): boolean {
    return this.#paced && this.#mediaTimeUs > 0;
  }

  /** @param marginMs see `firstUnplayedChunk` */
  firstUnplayed(marginMs: number): number {
    if (!this.isRunning) return this.chunk + 1;
    const ageMs = this.#clock.nowMs() - this.#seenAtMs;
    const at = { chunk: this.chunk, mediaTimeUs: this.#mediaTimeUs };
    return firstUnplayedChunk(at, { chunkMs: this.#chunkUs / 1000, ageMs, marginMs });
  }

  /** When a chunk is due, unix microseconds; 0 while the player does not run. */
  dueUs(chunk: number): number {
    return this.isRunning ? Math.round(this.#seenAtUs + chunk * this.#chunkUs - this.#mediaTimeUs) : 0;
  }
}
