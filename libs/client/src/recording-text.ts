import type { CallProgress } from './types.js';

/** What a caller reads while the call is recorded; empty: it is not. */
export function recordingText(recording: CallProgress['recording']): string {
  if (recording === undefined) return '';
  return recording.sides === 'both' ? 'Recorded, with your voice' : 'Recorded';
}
