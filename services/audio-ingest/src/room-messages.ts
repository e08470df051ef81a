/** Who in a LiveKit room is heard. */
export interface SpeakerRule {
  /** Empty: everyone but agents. */
  readonly identity: string;
  /** Attributes that the participant must have, with these values. */
  readonly attributes: Readonly<Record<string, string>>;
  /** Identity of the avatar, which is never heard. */
  readonly avatar: string;
}

/** What the child process needs to hear a room. */
export type ListenerSetup = SpeakerRule;

export type ToListener = never;

/** Child to service. */
export type FromListener =
  /** Who is heard from now on, and by which track; both empty: none. */
  | { readonly type: 'speaker'; readonly participant: string; readonly track: string }
  /** 20 ms, mono. */
  | { readonly type: 'audio'; readonly pcm: Int16Array; readonly sampleRateHz: number }
  /** The track is muted, or gone: no sound follows until it is back. */
  | { readonly type: 'paused' };
