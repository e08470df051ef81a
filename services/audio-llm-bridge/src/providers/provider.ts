import type { MeshError } from '@talkmesh/contracts';

/**
 * A conversation provider hears the user and says what the avatar speaks. This is the common part of streaming speech-to-speech services
 * (audio deltas, voice activity, transcripts, truncation at the position heard) and of providers that need no service. PCM16 mono, 24 kHz.
 */

export type ProviderInput =
  /** Microphone audio in order; `endOfTurn` where the sender marked the end of a stream. */
  | { readonly kind: 'audio'; readonly pcm: Int16Array; readonly endOfTurn: boolean; readonly atMs: number }
  /** The user began to speak `preRollMs` before the audio pushed from now on. */
  | { readonly kind: 'user.started'; readonly preRollMs: number }
  | { readonly kind: 'user.stopped' };

export type ProviderOutput =
  /** Speech as it is generated. `response` is the provider's own name; the first speech of an unknown one begins a turn. */
  | { readonly kind: 'speech'; readonly response: string; readonly pcm: Int16Array }
  | { readonly kind: 'end'; readonly response: string }
  | {
      readonly kind: 'transcript';
      readonly role: 'user' | 'avatar';
      readonly text: string;
      readonly final: boolean;
      readonly response?: string;
    }
  /** Voice activity that the provider detected; used only where `vad` is 'provider'. */
  | { readonly kind: 'user'; readonly activity: 'started' | 'stopped' }
  /** Not interpreted here (a tool call, a usage report): logged and counted. */
  | { readonly kind: 'opaque'; readonly type: string; readonly data: unknown }
  | { readonly kind: 'failed'; readonly error: MeshError };

export interface Cut {
  readonly response: string;
  /** Milliseconds of the response's speech that the listener heard: the conversation's context ends there. */
  readonly playedMs: number;
}

export interface ProviderSession extends AsyncDisposable {
  /** Never blocks and never throws for audio; what goes wrong later is a `failed` output. */
  push(input: ProviderInput): void;
  /** Stops generating `cut.response` and forgets what was not heard. Speech of it that still comes out is dropped. */
  cancel(cut: Cut): void;
}

export interface ProviderOptions {
  readonly sessionId: string;
  readonly signal: AbortSignal;
}

export interface Provider {
  readonly name: string;
  /** Who tells when the user speaks: our voice activity detection, the provider itself, or nobody (there is no user to hear). */
  readonly vad: 'mesh' | 'provider' | 'none';
  /** What turns of this provider are called in `turn.started`. */
  readonly source: 'voice' | 'external';
  /** Where the configuration names none. */
  readonly maxTurnSeconds: number;
  /** @throws MeshError PROVIDER_FAILED */
  open(options: ProviderOptions, emit: (output: ProviderOutput) => void): Promise<ProviderSession>;
}
