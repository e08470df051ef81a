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

/** What a page says about the state of a call; nothing before and after one. */
export const STATE_LABELS: Readonly<Record<CallState, string>> = {
  new: '',
  connecting: 'Connecting…',
  reconnecting: 'Reconnecting…',
  listening: 'Listening',
  thinking: 'Thinking…',
  speaking: 'Speaking',
  paused: 'Paused',
  ended: '',
};

/** Whether the user has asked the browser to load less. */
export const savesData = (): boolean =>
  (globalThis.navigator as { connection?: { saveData?: boolean } } | undefined)?.connection?.saveData === true;
