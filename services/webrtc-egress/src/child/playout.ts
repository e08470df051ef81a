import { PcmRing, PlayoutClock } from '@talkmesh/media';

/** One frame with its sound, as it comes from the service. */
export interface PlayoutFrame {
  readonly serial: number;
  readonly epoch: number;
  readonly chunk: number;
  readonly i420: Uint8Array;
  /** PCM16 mono, sampleRateHz / fps samples. */
  readonly pcm: Int16Array;
}

export interface PlayedReport {
  readonly serial: number;
  /** From the moment the frame was due until picture and sound were handed to WebRTC, milliseconds. */
  readonly lateMs: number;
  /** Sound handed over minus picture handed over, milliseconds. */
  readonly skewMs: number;
}

export interface PlayoutOptions {
  readonly fps: number;
  readonly sampleRateHz: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly video: (i420: Uint8Array) => void;
  /** Exactly 10 ms of samples in their own buffer. */
  readonly audio: (block: Int16Array) => void;
  readonly onPlayed: (report: PlayedReport) => void;
  readonly onHeld: () => void;
  /** The process stood still for this long; the schedule starts anew instead of rushing after it. */
  readonly onStall: (milliseconds: number) => void;
}

const BLOCKS_PER_SECOND = 100;
const STALL_MS = 200;

/**
 * The one clock of a call: 10 ms blocks of sound are counted, and the picture changes when the count of samples reaches the
 * frame's first one. So picture and sound cannot drift, and when a frame is late both wait: the last picture is shown again with silence.
 */
export class Playout {
  readonly #options: PlayoutOptions;
  readonly #clock: PlayoutClock;
  readonly #blockSamples: number;
  readonly #frameSamples: number;
  readonly #queue: PlayoutFrame[] = [];
  readonly #sound = new PcmRing();
  #shown: Uint8Array | undefined;
  #block = 0;
  #nextFrameAt = 0;
  #handedOver: { serial: number; videoAtMs: number } | undefined;

  constructor(options: PlayoutOptions) {
    this.#options = options;
    this.#clock = new PlayoutClock({ fps: BLOCKS_PER_SECOND, now: options.now });
    this.#blockSamples = options.sampleRateHz / BLOCKS_PER_SECOND;
    this.#frameSamples = options.sampleRateHz / options.fps;
  }

  get running(): boolean {
    return this.#clock.started;
  }

  push(frame: PlayoutFrame): void {
    this.#queue.push(frame);
  }

  /** Drops queued frames of older epochs from `fromChunk` on; returns their serials. */
  flush(epoch: number, fromChunk: number): number[] {
    const flushed = this.#queue.filter((frame) => frame.epoch < epoch && frame.chunk >= fromChunk);
    for (const frame of flushed) this.#queue.splice(this.#queue.indexOf(frame), 1);
    return flushed.map((frame) => frame.serial);
  }

  /** Stops the clock; what is queued stays queued. */
  pause(): void {
    this.#clock.stop();
  }

  /**
   * Plays everything that is due. The clock starts with the first frame.
   * @returns milliseconds until it wants to be called again, undefined while it waits for a first frame
   */
  tick(): number | undefined {
    if (!this.#clock.started && !this.#start()) return undefined;
    const lateMs = -this.#clock.untilMs(this.#block);
    if (lateMs > STALL_MS) {
      this.#options.onStall(lateMs);
      this.#start();
    }
    while (this.#clock.untilMs(this.#block) <= 0) this.#playBlock();
    return Math.max(0, this.#clock.untilMs(this.#block));
  }

  #start(): boolean {
    if (this.#shown === undefined && this.#queue.length === 0) return false;
    this.#block = 0;
    this.#nextFrameAt = this.#sound.length;
    this.#clock.start();
    return true;
  }

  #playBlock(): void {
    const dueAtMs = this.#clock.dueAtMs(this.#block);
    const end = (this.#block + 1) * this.#blockSamples;
    while (this.#nextFrameAt < end) this.#nextFrame();
    const { audio, now, onPlayed } = this.#options;
    audio(this.#sound.take(this.#blockSamples));
    this.#block++;
    const played = this.#handedOver;
    if (played === undefined) return;
    this.#handedOver = undefined;
    const atMs = now();
    onPlayed({ serial: played.serial, lateMs: atMs - dueAtMs, skewMs: atMs - played.videoAtMs });
  }

  #nextFrame(): void {
    this.#nextFrameAt += this.#frameSamples;
    const frame = this.#queue.shift();
    if (frame !== undefined) {
      this.#shown = frame.i420;
      this.#sound.push(frame.pcm);
    } else {
      this.#sound.push(new Int16Array(Math.round(this.#frameSamples)));
      this.#options.onHeld();
    }
    if (this.#shown !== undefined) this.#options.video(this.#shown);
    if (frame !== undefined) this.#handedOver = { serial: frame.serial, videoAtMs: this.#options.now() };
  }
}
