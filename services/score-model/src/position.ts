import type { PlayheadMessage } from '@talkmesh/contracts';
import type { Clock } from './clock.js';

/** A position is not carried on longer than this without news, milliseconds. */
const MAX_EXTRAPOLATION_MS = 480;

/** Where the egress is, from its playhead messages and the time since; pure but for the clock. */
export class Position {
  readonly #clock: Clock;
  readonly #chunkUs: number;
  readonly #paced: boolean;
  #chunk: number;
  #mediaTimeUs = 0;
  #seenAtMs = 0;
  #seenAtUs = 0;
  #creditChunks: number;

  /** @param options.chunk where the session begins */
  constructor(options: { clock: Clock; chunkUs: number; paced: boolean; creditChunks: number; chunk?: number }) {
    this.#chunk = options.chunk ?? 0;
    this.#clock = options.clock;
    this.#chunkUs = options.chunkUs;
    this.#paced = options.paced;
    this.#creditChunks = options.creditChunks;
  }

  /** @param ageMs how long ago that was */
  update(playhead: PlayheadMessage, maxCreditChunks: number, ageMs = 0): void {
    this.#chunk = playhead.chunk;
    this.#mediaTimeUs = playhead.mediaTimeUs;
    this.#creditChunks = Math.min(playhead.creditChunks, maxCreditChunks);
    this.#seenAtMs = this.#clock.nowMs() - ageMs;
    this.#seenAtUs = this.#clock.wallUs() - ageMs * 1000;
  }

  get creditEnd(): number {
    return this.#chunk + this.#creditChunks;
  }

  /** False while nobody watches, and for a recorder: then there are no deadlines. */
  get running(): boolean {
    return this.#paced && this.#mediaTimeUs > 0;
  }

  /** First chunk whose playing has not begun, and will not within `marginMs`. */
  firstUnplayed(marginMs: number): number {
    if (!this.running) return this.#chunk + 1;
    const sinceMs = Math.min(this.#clock.nowMs() - this.#seenAtMs, MAX_EXTRAPOLATION_MS);
    const atUs = this.#mediaTimeUs + (sinceMs + marginMs) * 1000;
    return Math.max(this.#chunk, Math.floor(atUs / this.#chunkUs)) + 1;
  }

  /** When a chunk is due, unix microseconds; 0 without a running clock. */
  dueUs(chunk: number): number {
    return this.running ? Math.round(this.#seenAtUs + chunk * this.#chunkUs - this.#mediaTimeUs) : 0;
  }
}
