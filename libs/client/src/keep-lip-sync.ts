import { PlaybackMeter } from './playback-meter.js';
import type { CallStats } from './types.js';

/** Receivers of the avatar's two tracks, which the sender plays in step. */
export interface AvatarReceivers {
  readonly audio: RTCRtpReceiver;
  readonly video: RTCRtpReceiver;
}

/**
 * Delays the picture until it is as late as the sound, as a `Call` does by itself: for pages that receive an avatar by another client, such
 * as LiveKit's (`track.receiver`). Where the browser cannot delay a picture it only measures.
 * @param video the element that shows the picture
 * @param onStats called once a second; `avSkewMs` above 0: the picture is ahead of the sound
 * @returns a function that ends it
 */
export function keepLipSync(
  video: HTMLVideoElement,
  receivers: AvatarReceivers,
  onStats: (stats: CallStats) => void = () => undefined,
): () => void {
  const connection = {
    getReceivers: () => [receivers.audio, receivers.video],
    getStats: async () => {
      const reports = await Promise.all([receivers.audio.getStats(), receivers.video.getStats()]);
      return new Map(reports.flatMap((report) => [...(report as unknown as ReadonlyMap<string, unknown>)]));
    },
  };
  return new PlaybackMeter({ pc: () => connection, onStats }).observe(video);
}
