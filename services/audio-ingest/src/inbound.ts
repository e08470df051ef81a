import { decodePlayhead, type PlayheadMessage } from '@talkmesh/contracts';
import type { Bus } from '@talkmesh/service-kit';

/** Listens to what a session has played. @returns the end of listening */
export function listenToPlayhead(
  bus: Bus,
  sessionId: string,
  onPlayhead: (playhead: PlayheadMessage) => void,
): () => void {
  const subscription = bus.subscribe('playhead', sessionId, (payload) => onPlayhead(decodePlayhead(payload)));
  return () => subscription.unsubscribe();
}
