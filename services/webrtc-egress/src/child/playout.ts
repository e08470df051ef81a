import { isDroppedBy } from '@talkmesh/contracts';
import { PcmRing, PlayoutClock } from '@talkmesh/media';

/** One frame with its audio, as the service sends it. */
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
  /** From the due time of the frame until its video and audio were handed to WebRTC, milliseconds. */
  readonly lateMs: number;
  /** Hand-over time of the audio minus that of the video, milliseconds. */
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
  /** The process stalled for this long; the schedule restarts from now instead of playing the backlog at once. */
  readonly onStall: (milliseconds: number) => void;
}

const BLOCKS_PER_SECOND = 100;
const STALL_MS = 200;
/** Speech that is cut fades out, because a sudden end is heard as a click. */
const FADE_MS = 5;

/**
 * The single playout clock of a viewer. It counts 10 ms audio blocks and shows a frame when the count reaches the frame's first
 * sample, so audio and video cannot drift apart. When a frame is late, the previous one is held with silence and both wait.
 */
export class Playout {
  readonly #options: PlayoutOptions;
  readonly #clock: PlayoutClock;
  readonly #blockSamples: number;
  readonly #frameSamples: number;
  readonly #queue: PlayoutFrame[] = [];
  readonly #pcm = new PcmRing();
  #shown: PlayoutFrame | undefined;
  #block = 0;
  #nextFrameSample = 0;
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
    const flushed = this.#queue.filter((frame) => isDroppedBy({ epoch, fromChunk }, frame));
    for (const frame of flushed) this.#queue.splice(this.#queue.indexOf(frame), 1);
    return flushed.map((frame) => frame.serial);
  }

  /** Fades out what is left of the frame that is playing, if it is of an older epoch and from `fromChunk` on. Its picture stays. */
  silence(epoch: number, fromChunk: number): void {
    if (this.#shown === undefined || !isDroppedBy({ epoch, fromChunk }, this.#shown)) return;
    const rest = this.#pcm.take(this.#pcm.length);
    const fadeSamples = (this.#options.sampleRateHz * FADE_MS) / 1000;
    for (const [i, sample] of rest.entries()) rest[i] = sample * Math.max(0, 1 - i / fadeSamples);
    this.#pcm.push(rest);
  }

  /** Stops the clock and keeps the queue. */
  pause(): void {
    this.#clock.stop();
  }

  /**
   * Plays everything that is due. The clock starts with the first frame.
   * @returns milliseconds until the next call is due; undefined while no frame has arrived
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
    this.#nextFrameSample = this.#pcm.length;
    this.#clock.start();
    return true;
  }

  #playBlock(): void {
    const dueAtMs = this.#clock.dueAtMs(this.#block);
    const end = (this.#block + 1) * this.#blockSamples;
    while (this.#nextFrameSample < end) this.#startNextFrame();
    const { audio, now, onPlayed } = this.#options;
    audio(this.#pcm.take(this.#blockSamples));
    this.#block++;
    const played = this.#handedOver;
    if (played === undefined) return;
    this.#handedOver = undefined;
    const atMs = now();
    onPlayed({ serial: played.serial, lateMs: atMs - dueAtMs, skewMs: atMs - played.videoAtMs });
  }

  #startNextFrame(): void {
    this.#nextFrameSample += this.#frameSamples;
    const frame = this.#queue.shift();
    if (frame !== undefined) {
      this.#shown = frame;
      this.#pcm.push(frame.pcm);
    } else {
      this.#pcm.push(new Int16Array(Math.round(this.#frameSamples)));
      this.#options.onHeld();
    }
    if (this.#shown !== undefined) this.#options.video(this.#shown.i420);
    if (frame !== undefined) this.#handedOver = { serial: frame.serial, videoAtMs: this.#options.now() };
  }
}
