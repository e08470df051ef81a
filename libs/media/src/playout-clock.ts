export interface PlayoutClockOptions {
  readonly fps: number;
  readonly now: () => number;
}

/**
 * Computes which frame is due. Times are computed from the frame number, not accumulated, so the clock does not drift. A held frame
 * delays all later frames by whole frames.
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

  /** Number of frames by which the schedule was delayed since `start`. */
  get heldFrames(): number {
    return this.#heldFrames;
  }

  /** Makes frame 0 due now (or at `atMs`) and resets `heldFrames`. */
  start(atMs = this.#now()): void {
    this.#startMs = atMs;
    this.#heldFrames = 0;
  }

  /** Stops the clock: no frame is due until `start`. */
  stop(): void {
    this.#startMs = undefined;
  }

  /** The newest frame that is due, -1 before the first. */
  dueFrame(): number {
    if (this.#startMs === undefined) return -1;
    const slots = Math.floor((this.#now() - this.#startMs) / this.#frameMs + 1e-6);
    return Math.max(-1, slots - this.#heldFrames);
  }

  /** Time at which a frame is due, on the clock of `now`; Infinity while stopped. */
  dueAtMs(frame: number): number {
    if (this.#startMs === undefined) return Number.POSITIVE_INFINITY;
    return this.#startMs + (frame + this.#heldFrames) * this.#frameMs;
  }

  untilMs(frame: number): number {
    return this.dueAtMs(frame) - this.#now();
  }

  /** Delays every later frame by `frames` frames, because the current one is held. */
  hold(frames = 1): void {
    this.#heldFrames += frames;
  }
}
