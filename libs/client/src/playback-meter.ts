import { type DelayCounters, pictureDelayMs, pictureTargetMs, soundDelayMs } from './lip-sync.js';
import { delayCounters, summarise } from './stats.js';
import type { CallStats } from './types.js';

const MEASURE_MS = 1000;
/** Fewer frames in one interval say too little: the page is hidden, or the picture stands. */
const LEAST_FRAMES = 5;

/** What is used of an RTCPeerConnection. */
export interface MeasuredConnection {
  getReceivers(): readonly RTCRtpReceiver[];
  /** An RTCStatsReport. */
  getStats(): Promise<unknown>;
}

export interface PlaybackMeterOptions {
  /** The connection whose media are played; the same object as long as it is the same connection. */
  readonly pc: () => MeasuredConnection | undefined;
  /** Called once a second while a video is observed and connected. */
  readonly onStats: (stats: CallStats) => void;
}

type Measured = Pick<CallStats, 'avSkewMs' | 'pictureDelayMs' | 'soundDelayMs'>;
const UNKNOWN: Measured = { avSkewMs: undefined, pictureDelayMs: undefined, soundDelayMs: undefined };

/** Measures how a video element plays a call, and delays the picture until it is as late as the sound. */
export class PlaybackMeter {
  readonly #options: PlaybackMeterOptions;
  #stop: () => void = () => {};
  #frameDelays: number[] = [];
  #before: { readonly pc: MeasuredConnection; readonly counters: DelayCounters } | undefined;
  #measured = UNKNOWN;
  #targetMs: number | undefined;
  #waitingSinceMs: number | undefined;
  #firstFrameMs: number | undefined;

  constructor(options: PlaybackMeterOptions) {
    this.#options = options;
  }

  /** The user waits for the first frame from now on. */
  expectFrame(): void {
    this.#waitingSinceMs = performance.now();
    this.#firstFrameMs = undefined;
  }

  /** Observes this element instead of the one before. @returns a function that ends it */
  observe(video: HTMLVideoElement): () => void {
    this.#stop();
    // Older browsers do not say when frames are shown; the delay of the sound is known all the same.
    const tellsFrames = 'requestVideoFrameCallback' in video;
    let handle = 0;
    const onFrame = (_now: number, { receiveTime, expectedDisplayTime }: VideoFrameCallbackMetadata): void => {
      this.#onFrame(expectedDisplayTime, receiveTime);
      handle = video.requestVideoFrameCallback(onFrame);
    };
    if (tellsFrames) handle = video.requestVideoFrameCallback(onFrame);
    const timer = setInterval(() => void this.#tick(), MEASURE_MS);
    const stop = (): void => {
      if (tellsFrames) video.cancelVideoFrameCallback(handle);
      clearInterval(timer);
    };
    this.#stop = stop;
    return stop;
  }

  stop(): void {
    this.#stop();
  }

  /** Statistics now; those of playback are of the last second. @returns undefined while there is no connection */
  async read(): Promise<CallStats | undefined> {
    const report = await this.#options.pc()?.getStats();
    if (report === undefined) return undefined;
    return this.#statsOf(report as ReadonlyMap<string, unknown>);
  }

  #statsOf(report: ReadonlyMap<string, unknown>): CallStats {
    return { ...summarise(report), ...this.#measured, firstFrameMs: this.#firstFrameMs };
  }

  #onFrame(displayMs: number, receivedMs: number | undefined): void {
    if (receivedMs !== undefined) this.#frameDelays.push(displayMs - receivedMs);
    if (this.#waitingSinceMs === undefined) return;
    this.#firstFrameMs = displayMs - this.#waitingSinceMs;
    this.#waitingSinceMs = undefined;
  }

  async #tick(): Promise<void> {
    const pc = this.#options.pc();
    const report = await pc?.getStats().catch(() => undefined);
    if (pc === undefined || report === undefined) return;
    const rows = report as ReadonlyMap<string, unknown>;
    this.#measure(pc, delayCounters(rows));
    this.#options.onStats(this.#statsOf(rows));
  }

  #measure(pc: MeasuredConnection, counters: DelayCounters): void {
    const before = this.#before;
    const frames = this.#frameDelays;
    this.#before = { pc, counters };
    this.#frameDelays = [];
    this.#measured = UNKNOWN;
    if (before?.pc !== pc) {
      this.#targetMs = undefined;
      return;
    }
    const sound = soundDelayMs(before.counters, counters);
    const picture = frames.length < LEAST_FRAMES ? undefined : pictureDelayMs(frames);
    const avSkewMs = sound === undefined || picture === undefined ? undefined : sound - picture;
    this.#measured = { avSkewMs, pictureDelayMs: picture, soundDelayMs: sound };
    if (sound !== undefined) this.#delayPicture(pc, sound);
  }

  #delayPicture(pc: MeasuredConnection, soundMs: number): void {
    const receiver = pc.getReceivers().find(({ track }) => track.kind === 'video');
    // Browsers without this member synchronise by the sender's reports alone.
    if (receiver === undefined || !('jitterBufferTarget' in receiver)) return;
    const target = pictureTargetMs(soundMs, this.#targetMs);
    if (target === this.#targetMs) return;
    this.#targetMs = target;
    receiver.jitterBufferTarget = target;
  }
}
