export interface SpeechRequest {
  readonly text: string;
  /** Engine specific; empty for the default voice. */
  readonly voice: string;
  readonly signal: AbortSignal;
}

export interface SpeechSynthesizer {
  readonly name: string;
  /**
   * PCM16 mono at 24 kHz, as it is made, faster than real time.
   * @throws MeshError TTS_UNAVAILABLE (says what to install), ARGUMENT_INVALID (voice), DEADLINE_EXCEEDED, CANCELLED, PROVIDER_FAILED
   */
  speak(request: SpeechRequest): AsyncIterable<Int16Array>;
  /** @throws MeshError TTS_UNAVAILABLE */
  check(): Promise<void>;
}
