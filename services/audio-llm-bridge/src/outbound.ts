import { encodeAudio, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import type { Bus } from '@talkmesh/service-kit';
import type { SpeechPiece, StageOutput } from './stage.js';

/** Publishes a session's speech and events, in order. */
export class Outbound {
  readonly #bus: Bus;
  readonly #sessionId: string;

  constructor(bus: Bus, sessionId: string) {
    this.#bus = bus;
    this.#sessionId = sessionId;
  }

  speech(piece: SpeechPiece): void {
    const { epoch, turn, sequence, mediaTimeUs, pcm, fromSample, endOfTurn } = piece;
    const header = { sessionId: this.#sessionId, epoch, turn, chunk: 0, mediaTimeUs, deadlineUs: 0 };
    const speech = { ...header, sequence, sampleRateHz: SPEECH_RATE_HZ, pcm, fromSample, endOfTurn };
    const message = encodeAudio(speech);
    this.#bus.publish('speech', this.#sessionId, message);
  }

  event({ epoch, turn, body }: Extract<StageOutput, { kind: 'event' }>): void {
    this.#bus.publishEvent({ sid: this.#sessionId, epoch, turn, ...body });
  }
}
