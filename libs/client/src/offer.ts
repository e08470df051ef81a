/** How many denoising steps a chunk of video takes. A model has `balanced`, and the others where it does them well. */
export type Quality = 'fast' | 'balanced' | 'best';

/** What the caller's sessions may choose. */
export interface ConversationOffer {
  /** Provider of sessions that name none. */
  readonly default: string;
  readonly providers: readonly {
    readonly name: string;
    /** How the user's turns can begin and end; empty: it hears no user, a program speaks. */
    readonly input: readonly ('voice-activity' | 'push-to-talk')[];
    /** Names of voices, as far as they are known. */
    readonly voices: readonly string[];
    readonly onlyTheseVoices: boolean;
  }[];
  readonly choices: readonly ('instructions' | 'voice' | 'language' | 'tools' | 'key')[];
  /** Qualities of the model that sessions may have, the cheapest first. Gateways before the choice existed leave it out. */
  readonly quality?: {
    readonly default: Quality;
    readonly choices: readonly {
      readonly name: Quality;
      /** Latent frames of a chunk x denoising steps, such as `3x4`. */
      readonly size: string;
      /** Time that the score model needs for it, as a multiple of that of `balanced`. */
      readonly cost: number;
    }[];
  };
  /** Sizes of the video that sessions may have, the smallest first. Gateways before the choice existed leave it out. */
  readonly size?: {
    readonly default: number;
    readonly choices: readonly {
      /** Width of the video, pixels: what `SessionOptions.size` names. */
      readonly size: number;
      readonly width: number;
      readonly height: number;
      /** Time that the decoder needs for it, as a multiple of that of the model's own size. */
      readonly cost: number;
    }[];
  };
}
