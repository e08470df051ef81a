import type { FrameMessage } from '@talkmesh/contracts';
import { PlayoutClock } from '@talkmesh/media';
import type { EgressMetrics } from './metrics.js';
import type { EgressSession, Sink } from './session.js';

/** Gets each frame when it is due, with times that have no gaps. It may detach itself instead of taking the frame. */
export type FrameReader = (frame: FrameMessage) => void;

export interface FrameSinkOptions {
  readonly session: EgressSession;
  readonly metrics: EgressMetrics;
  readonly fps: number;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

/** After a longer stall of this process the schedule restarts, instead of sending the backlog at once. */
const STALL_MS = 200;

/**
 * Sends a session to the program that speaks, frame by frame with its audio, on the wall clock. A frame is played when it is handed over;
 * no frame is taken before its time, so a flush finds none in flight.
 */
export class FrameSink implements Sink {
  readonly #options: FrameSinkOptions;
  readonly #clock: PlayoutClock;
  readonly #now: () => number;
  #reader: FrameReader | undefined;
  #next = 0;
  /** Of the first frame, and frames since: chunks that are cut leave gaps in the times of the decoder. */
  #firstUs: number | undefined;
  #sent = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: FrameSinkOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#clock = new PlayoutClock({ fps: options.fps, now: this.#now });
  }

  /** The reader replaces an older one. */
  attach(reader: FrameReader): void {
    const { session, metrics } = this.#options;
    if (this.#reader === undefined) metrics.viewers.inc();
    this.#reader = reader;
    session.watch.connected();
    this.pump();
  }

  /** The reader is gone; another may follow. Nothing is played meanwhile. */
  detach(reader: FrameReader): void {
    if (reader !== this.#reader) return;
    const { session, metrics } = this.#options;
    this.#reader = undefined;
    this.#stop();
    metrics.viewers.dec();
    session.watch.lost('disconnected');
  }

  pump(): void {
    if (this.#reader !== undefined && this.#timer === undefined) this.#tick();
  }

  /** Nothing to do: no frame is in flight. */
  flush(): void {}

  async close(): Promise<void> {
    this.#stop();
    if (this.#reader !== undefined) this.#options.metrics.viewers.dec();
    this.#reader = undefined;
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#clock.stop();
  }

  /** Plays what is due. The clock starts with the first frame, and holds when the next one is late. */
  #tick(): void {
    this.#timer = undefined;
    if (this.#reader === undefined) return;
    if (!this.#clock.started) {
      if (!this.#play(0)) return;
      this.#clock.start();
      this.#next = 1;
    }
    const lateMs = -this.#clock.untilMs(this.#next);
    if (lateMs > STALL_MS) {
      this.#options.metrics.stalls.inc();
      this.#clock.start();
      this.#next = 0;
    }
    for (; this.#clock.untilMs(this.#next) <= 0; this.#next += 1) {
      const isPlayed = this.#play(-this.#clock.untilMs(this.#next));
      if (this.#reader === undefined) return;
      if (!isPlayed) this.#options.session.held();
    }
    this.#timer = setTimeout(() => this.#tick(), this.#clock.untilMs(this.#next));
  }

  /** @returns false when no frame is there, or the reader did not take it */
  #play(lateMs: number): boolean {
    const { session, metrics, fps } = this.#options;
    const taken = session.take(1);
    if (taken === undefined) return false;
    this.#firstUs ??= taken.frame.mediaTimeUs;
    const mediaTimeUs = this.#firstUs + Math.round((this.#sent * 1e6) / fps);
    this.#reader?.({ ...taken.frame, mediaTimeUs });
    if (this.#reader === undefined) {
      session.restore();
      return false;
    }
    this.#sent += 1;
    metrics.lateness.observe({ sink: 'frames' }, lateMs / 1000);
    session.played(taken.serial, lateMs);
    return true;
  }
}
