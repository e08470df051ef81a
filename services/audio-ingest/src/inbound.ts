import { decodePlayhead, type PlayheadMessage } from '@talkmesh/contracts';
import type { Bus } from '@talkmesh/service-kit';

/** Subscribes to the playhead of a session. @returns a function that unsubscribes */
export function listenToPlayhead(
  bus: Bus,
  sessionId: string,
  onPlayhead: (playhead: PlayheadMessage) => void,
): () => void {
  const subscription = bus.subscribe('playhead', sessionId, (payload) => onPlayhead(decodePlayhead(payload)));
  return () => subscription.unsubscribe();
}
