/**
 * What a LiveKit agent sends to its avatar, by the protocol of LiveKit Agents: one byte stream of topic `lk.audio_stream` for each segment of
 * speech, and the call `lk.clear_buffer`.
 */
export type FromAgent =
  | { readonly type: 'opened'; readonly stream: string; readonly rateHz: number; readonly channels: number }
  /** Interleaved PCM16, little-endian, cut anywhere. */
  | { readonly type: 'audio'; readonly stream: string; readonly bytes: Uint8Array }
  /** `complete`: whether the agent closed the stream, so that all of it is here. */
  | { readonly type: 'closed'; readonly stream: string; readonly complete: boolean }
  | { readonly type: 'clear' }
  /** The agent did not take a report. */
  | { readonly type: 'unanswered'; readonly method: string; readonly why: string };

/** A call to the agent: `lk.playback_started`, `lk.playback_finished`. */
export interface AgentReport {
  readonly method: 'lk.playback_started' | 'lk.playback_finished';
  readonly payload: string;
}
