import type { CallState } from './types.js';

/** Whether media flow in this state, so that the call can be paused and spoken to. */
export const isLive = (state: CallState): boolean =>
  state === 'listening' || state === 'thinking' || state === 'speaking' || state === 'paused';

/**
 * Plays a stream with sound. When the browser blocks sound until the user has acted, it plays muted.
 * @param onMuted called then, before the muted play begins: offer a button that sets `video.muted` to false
 */
export async function playAudibly(video: HTMLVideoElement, stream: MediaStream, onMuted: () => void): Promise<void> {
  video.srcObject = stream;
  video.muted = false;
  try {
    await video.play();
  } catch {
    video.muted = true;
    onMuted();
    await video.play().catch(() => undefined);
  }
}
