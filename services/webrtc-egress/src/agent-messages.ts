/** Form of speech that is taken: whole numbers of Hz and of channels. */
export const SPEECH_FORM = { lowestHz: 8000, highestHz: 48_000, channels: 2 } as const;

/** Whether speech of this form is taken. An agent names it in attributes of its stream, which may say anything. */
export function isTaken({ rateHz, channels }: { readonly rateHz: number; readonly channels: number }): boolean {
  const { lowestHz, highestHz, channels: most } = SPEECH_FORM;
  const isRate = Number.isInteger(rateHz) && rateHz >= lowestHz && rateHz <= highestHz;
  return isRate && Number.isInteger(channels) && channels >= 1 && channels <= most;
}

/** @returns what to say of a form that is not taken */
export const formProblem = ({ rateHz, channels }: { readonly rateHz: number; readonly channels: number }): string =>
  `the audio has ${rateHz} Hz and ${channels} channels; send ${SPEECH_FORM.lowestHz} to ${SPEECH_FORM.highestHz} Hz and 1 or ${SPEECH_FORM.channels}`;

/**
 * What a program sends that speaks through the avatar. A LiveKit agent does so by the protocol of LiveKit Agents: one byte stream of topic
 * `lk.audio_stream` for each segment of speech, and the call `lk.clear_buffer`. At the avatar socket a segment is an utterance.
 */
export type AgentInput =
  | { readonly type: 'opened'; readonly stream: string; readonly rateHz: number; readonly channels: number }
  /** Interleaved PCM16, little-endian, cut anywhere. */
  | { readonly type: 'audio'; readonly stream: string; readonly bytes: Uint8Array }
  /** `complete`: whether the agent closed the stream, so that all of it is here. */
  | { readonly type: 'closed'; readonly stream: string; readonly complete: boolean }
  | { readonly type: 'clear' };

/** A LiveKit agent may also not take a report. */
export type FromAgent = AgentInput | { readonly type: 'unanswered'; readonly method: string; readonly why: string };

/** What the program is told. A segment without a stream is one of the worker before. */
export type SpeechReport =
  | { readonly type: 'started'; readonly stream: string }
  | {
      readonly type: 'finished';
      readonly stream: string | undefined;
      readonly seconds: number;
      readonly interrupted: boolean;
    }
  /** Nothing of what came before a `clear` is heard any more. */
  | { readonly type: 'cleared' };

/** A call to a LiveKit agent. */
export interface AgentReport {
  readonly method: 'lk.playback_started' | 'lk.playback_finished';
  readonly payload: string;
}

/** @returns undefined where LiveKit's protocol has no report: it answers `lk.clear_buffer` at once */
export function agentReportOf(report: SpeechReport, atMs: number): AgentReport | undefined {
  if (report.type === 'started')
    return { method: 'lk.playback_started', payload: JSON.stringify({ created_at: atMs / 1000 }) };
  if (report.type === 'cleared') return undefined;
  const { seconds, interrupted } = report;
  const payload = { playback_position: seconds, interrupted, synchronized_transcript: null };
  return { method: 'lk.playback_finished', payload: JSON.stringify(payload) };
}
