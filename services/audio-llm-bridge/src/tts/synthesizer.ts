export interface SpeechRequest {
  readonly text: string;
  /** A voice name of the engine; empty for the default voice. */
  readonly voice: string;
  readonly signal: AbortSignal;
}

export interface SpeechSynthesizer {
  readonly name: string;
  /**
   * Yields PCM16 mono at 24 kHz while it is synthesised, faster than real time.
   * @throws MeshError TTS_UNAVAILABLE (names the package to install), ARGUMENT_INVALID (voice), DEADLINE_EXCEEDED, CANCELLED, PROVIDER_FAILED
   */
  speak(request: SpeechRequest): AsyncIterable<Int16Array>;
  /** Checks that the engine can be started. @throws MeshError TTS_UNAVAILABLE */
  check(): Promise<void>;
}
