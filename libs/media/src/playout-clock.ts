export interface PlayoutClockOptions {
  readonly fps: number;
  /** A monotonic clock, milliseconds. */
  readonly now: () => number;
}

/**
 * Tells which frame is due. Times are computed from the frame number, never summed up, so the clock does not drift; a held
 * frame moves everything after it by whole frames.
 */
export class PlayoutClock {
  readonly #frameMs: number;
  readonly #now: () => number;
  #startMs: number | undefined;
  #heldFrames = 0;

  constructor(options: PlayoutClockOptions) {
    if (!(options.fps > 0)) throw new RangeError(`fps must be positive, not ${options.fps}`);
    this.#frameMs = 1000 / options.fps;
    this.#now = options.now;
  }

  get started(): boolean {
    return this.#startMs !== undefined;
  }

  /** Frames the schedule was moved back by. */
  get heldFrames(): number {
    return this.#heldFrames;
  }

  /** Frame 0 is due now (or at `atMs`). Starting again forgets what was held. */
  start(atMs = this.#now()): void {
    this.#startMs = atMs;
    this.#heldFrames = 0;
  }

  /** Nothing is due until `start`. */
  stop(): void {
    this.#startMs = undefined;
  }

  /** The newest frame that is due, -1 before the first. */
  dueFrame(): number {
    if (this.#startMs === undefined) return -1;
    const slots = Math.floor((this.#now() - this.#startMs) / this.#frameMs + 1e-6);
    return Math.max(-1, slots - this.#heldFrames);
  }

  /** When a frame is due, on the clock of `now`; Infinity while stopped. */
  dueAtMs(frame: number): number {
    if (this.#startMs === undefined) return Number.POSITIVE_INFINITY;
    return this.#startMs + (frame + this.#heldFrames) * this.#frameMs;
  }

  /** Milliseconds until a frame is due; negative when it is late. */
  untilMs(frame: number): number {
    return this.dueAtMs(frame) - this.#now();
  }

  /** The last frame is shown `frames` slots longer: every later frame is due later. */
  hold(frames = 1): void {
    this.#heldFrames += frames;
  }
}
