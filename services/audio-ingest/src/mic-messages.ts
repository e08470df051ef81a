/** Service to child: nothing but opening and closing. */
export type ToMic = never;
export type MicSetup = Record<string, never>;

/** Child to service: sound as it comes, 20 ms at once. */
export interface FromMic {
  /** Interleaved. */
  readonly pcm: Int16Array;
  readonly sampleRateHz: number;
  readonly channels: number;
}
