import type { EventBody, MeshEvent, PlayheadMessage, SessionChoices } from '@talkmesh/contracts';
import type { Cut, Provider, ProviderInput, ProviderOutput } from './providers/provider.js';
import type { TurnSource } from './turns.js';
import type { UserSpeechOptions } from './user-speech.js';

export interface ConversationOptions extends Omit<UserSpeechOptions, 'isDecided' | 'transcribesFirst'> {
  readonly provider: Pick<Provider, 'name' | 'vad' | 'source' | 'transcribesFirst'>;
  readonly input: SessionChoices['input'];
  /** Largest amount of speech that is sent and not yet played. */
  readonly aheadMs: number;
  readonly maxTurnMs: number;
}

/** A command of push-to-talk. */
export type InputCommand = 'start' | 'commit' | 'cancel';

/** What goes into a conversation. */
export type ConversationInput =
  | { readonly kind: 'mic'; readonly pcm: Int16Array; readonly endOfTurn: boolean }
  | { readonly kind: 'event'; readonly event: MeshEvent }
  | { readonly kind: 'playhead'; readonly playhead: PlayheadMessage }
  /** From the provider. */
  | { readonly kind: 'output'; readonly output: ProviderOutput }
  /** The time of `decidesAtMs` has come. */
  | { readonly kind: 'time' };

/** Speech to send. `fromSample` counts from the turn's first sample. */
export interface SpeechPiece {
  readonly kind: 'speech';
  readonly epoch: number;
  readonly turn: number;
  readonly sequence: number;
  readonly mediaTimeUs: number;
  readonly pcm: Int16Array;
  readonly fromSample: number;
  readonly endOfTurn: boolean;
}

/** What a conversation wants to be done. */
export type ConversationOutput =
  | SpeechPiece
  | { readonly kind: 'event'; readonly epoch: number; readonly turn: number; readonly body: EventBody }
  /** For the provider. */
  | { readonly kind: 'input'; readonly input: ProviderInput }
  | { readonly kind: 'cancel'; readonly source: TurnSource; readonly cut: Cut };
