import type { MeshError, SessionChoices } from '@talkmesh/contracts';
import type { Logger } from '@talkmesh/service-kit';

/**
 * A conversation provider receives the user's audio and generates what the avatar speaks. The interface covers what streaming
 * speech-to-speech services have in common (audio deltas, voice activity, transcripts, truncation at the position heard, tool calls) and
 * providers that need no service. All audio is PCM16 mono, 24 kHz.
 */

export type ProviderInput =
  /** Microphone audio in order; `endOfTurn` is set where the sender marked the end of a stream. */
  | { readonly kind: 'audio'; readonly pcm: Int16Array; readonly endOfTurn: boolean; readonly atMs: number }
  /** The user began to speak `preRollMs` before the audio pushed from now on. */
  | { readonly kind: 'user.started'; readonly preRollMs: number }
  | { readonly kind: 'user.stopped' }
  /**
   * The user spoke within the last `preRollMs`, over the avatar and perhaps without meaning to interrupt. Only providers with
   * `transcribesFirst` get it. They emit `heard`, and wait for one of the next two.
   */
  | { readonly kind: 'user.spoke'; readonly preRollMs: number }
  /** What `heard` told is the user's turn: answer it. */
  | { readonly kind: 'user.accepted' }
  /** What the user said since `user.started`, or what `heard` told or would have told, is no turn: forget it, and do not answer. */
  | { readonly kind: 'user.withdrawn' };

/** A function of the embedding product that the model wants to be called. */
export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** A JSON object, as the model wrote it. */
  readonly arguments: string;
}

/** Steps of an answer whose time the provider reports. */
export type ProviderStep = 'connect' | 'transcription' | 'first-text' | 'first-sound' | 'response';

export type ProviderOutput =
  /** Speech as it is generated. `response` is the provider's own id for it; the first speech with a new id begins a turn. */
  | { readonly kind: 'speech'; readonly response: string; readonly pcm: Int16Array }
  | { readonly kind: 'end'; readonly response: string }
  /** A partial transcript contains all of the text so far; the final one replaces it. */
  | {
      readonly kind: 'transcript';
      readonly role: 'user' | 'avatar';
      readonly text: string;
      readonly final: boolean;
      readonly response?: string;
    }
  /** The words of `user.spoke`; empty: none were understood. */
  | { readonly kind: 'heard'; readonly text: string }
  /** Voice activity that the provider detected; ignored unless `vad` is 'provider'. */
  | { readonly kind: 'user'; readonly activity: 'started' | 'stopped' }
  /** Answered by `ProviderSession.answerTool`. */
  | { readonly kind: 'tool.call'; readonly call: ToolCall }
  /** The model no longer waits for the answer to this call. */
  | { readonly kind: 'tool.cancelled'; readonly id: string }
  /** Time that the provider took for a step, apart from the time of the mesh. */
  | { readonly kind: 'timing'; readonly step: ProviderStep; readonly ms: number }
  /** An event that the bridge does not interpret (a usage report, for example); it is logged and counted. */
  | { readonly kind: 'opaque'; readonly type: string }
  | { readonly kind: 'failed'; readonly error: MeshError };

export interface Cut {
  readonly response: string;
  /** Milliseconds of the response's speech that the listener heard: the conversation's context ends there. */
  readonly playedMs: number;
}

export interface ToolResult {
  readonly id: string;
  /** What the model reads: text or JSON. */
  readonly output: string;
}

export interface ProviderSession extends AsyncDisposable {
  /** Never blocks and never throws for audio; later errors are `failed` outputs. */
  push(input: ProviderInput): void;
  /** Stops generating `cut.response` and removes what was not heard from the provider's context. The bridge drops later speech of it. */
  cancel(cut: Cut): void;
  /** Answers a `tool.call`. Absent in providers that make none. */
  answerTool?(result: ToolResult): void;
}

/** One side's words, oldest first, as a new connection to the provider needs them. */
export interface Utterance {
  readonly role: 'user' | 'avatar';
  readonly text: string;
}

export interface ProviderOptions {
  readonly sessionId: string;
  readonly choices: SessionChoices;
  /** The session's own key; empty: the deployment's. It must not be logged or written anywhere. */
  readonly key: string;
  /** Another bridge led the session before: it goes on even while the provider cannot be reached. */
  readonly isTakeover: boolean;
  /** What was said before a takeover. */
  readonly history: readonly Utterance[];
  readonly log: Logger;
  readonly signal: AbortSignal;
}

export interface Provider {
  readonly name: string;
  /** Which component detects that the user speaks: audio-ingest, the provider, or none (the audio is not a user's). */
  readonly vad: 'mesh' | 'provider' | 'none';
  /** Whether it tells the words of an utterance before it answers, so that words that do not interrupt can be taken back. */
  readonly transcribesFirst?: boolean;
  /** The `source` of this provider's turns in `turn.started`. */
  readonly source: 'voice' | 'external';
  /** Whether `choices.voice` names a voice of the provider, or one of the text-to-speech that speaks typed lines. */
  readonly voices: 'provider' | 'text-to-speech';
  /** Some of these names, to choose from; there may be more. */
  readonly knownVoices: readonly string[];
  /** Longest turn when the configuration sets no limit. */
  readonly maxTurnSeconds: number;
  /** @throws MeshError PROVIDER_FAILED */
  open(options: ProviderOptions, emit: (output: ProviderOutput) => void): Promise<ProviderSession>;
}
