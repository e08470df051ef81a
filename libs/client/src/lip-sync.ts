/** Counters of a receiver since its connection began, from an RTCStatsReport. */
export interface DelayCounters {
  /** Seconds that samples spent in the jitter buffer of the sound, summed over samples, and their number. */
  readonly bufferedS: number;
  readonly bufferedSamples: number;
  /** The same for the way from there to the loudspeaker; 0 where the browser does not report it. */
  readonly playoutS: number;
  readonly playoutSamples: number;
}

/** Smallest change of the picture's delay that is worth it, and the longest delay, milliseconds. */
const LEAST_CHANGE_MS = 12;
const MOST_DELAY_MS = 1000;
/** A browser shows a frame this much before the target of its jitter buffer, which includes rendering (libwebrtc, VCMTiming). */
const RENDER_MS = 10;
/**
 * A packet of Opus holds 20 ms and leaves when the last is there, so that a sample waits half of it on average, while the picture leaves at
 * once. What the encoder of the picture takes, a few milliseconds, is about what Opus delays the sound besides (RFC 6716, section 2).
 */
const WAITS_FOR_PACKET_MS = 10;

/** Mean time from when sound could have arrived, had it been sent at once, until it is heard, between two reports of one connection, milliseconds; undefined without sound. */
export function soundDelayMs(before: DelayCounters, after: DelayCounters): number | undefined {
  const samples = after.bufferedSamples - before.bufferedSamples;
  if (samples <= 0) return undefined;
  const played = after.playoutSamples - before.playoutSamples;
  const playoutS = played > 0 ? (after.playoutS - before.playoutS) / played : 0;
  return WAITS_FOR_PACKET_MS + 1000 * ((after.bufferedS - before.bufferedS) / samples + playoutS);
}

/** Median of the times from the arrival of a frame until it is on the display, milliseconds; undefined without frames. */
export function pictureDelayMs(frames: readonly number[]): number | undefined {
  return [...frames].sort((a, b) => a - b)[frames.length >> 1];
}

/**
 * The delay to ask of the picture's jitter buffer (RTCRtpReceiver.jitterBufferTarget), so that it is as late as the sound. The sender
 * hands both over at the same time, so equal delays are lip sync.
 * @param current the delay that was asked for last, undefined before the first
 */
export function pictureTargetMs(soundMs: number, current: number | undefined): number {
  const wanted = Math.round(Math.min(MOST_DELAY_MS, soundMs + RENDER_MS));
  return current !== undefined && Math.abs(wanted - current) < LEAST_CHANGE_MS ? current : wanted;
}
