export type ToMic = never;
export type MicSetup = Record<string, never>;

/** Child to service: received audio, usually 20 ms. */
export interface FromMic {
  readonly pcm: Int16Array;
  readonly sampleRateHz: number;
  readonly channels: number;
}
