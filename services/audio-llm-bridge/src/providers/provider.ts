import type { MeshError } from '@talkmesh/contracts';

/**
 * What a conversation provider is: it hears the user and says what the avatar speaks. The interface is the common part of
 * speech-to-speech services that stream (server or client voice activity detection, audio deltas, transcripts, truncation at
 * the position that was heard) and of the two providers that need no service at all.
 *
 * Audio in both directions is PCM16 mono at 24 kHz.
 */

export type ProviderInput =
  /** Microphone audio in order, 20 ms a piece; `endOfTurn` where the sender marked the end of a stream. */
  | { readonly kind: 'audio'; readonly pcm: Int16Array; readonly endOfTurn: boolean; readonly atMs: number }
  /** The user began to speak `preRollMs` before the audio pushed from now on. */
  | { readonly kind: 'user.started'; readonly preRollMs: number }
  | { readonly kind: 'user.stopped' };

export type ProviderOutput =
  /**
   * Speech of one response, as it is generated, as fast as it is generated. `response` is the provider's own name of the
   * response; the first speech of an unknown one begins a turn.
   */
  | { readonly kind: 'speech'; readonly response: string; readonly pcm: Int16Array }
  /** No more speech comes for this response. */
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
  /** Something this mesh does not interpret (a tool call, a usage report): it is logged and counted, never dropped unseen. */
  | { readonly kind: 'opaque'; readonly type: string; readonly data: unknown }
  | { readonly kind: 'failed'; readonly error: MeshError };

/** Where a response was cut. */
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
  /** Longest turn in seconds where the configuration names none. */
  readonly maxTurnSeconds: number;
  /** @throws MeshError PROVIDER_FAILED */
  open(options: ProviderOptions, emit: (output: ProviderOutput) => void): Promise<ProviderSession>;
}
