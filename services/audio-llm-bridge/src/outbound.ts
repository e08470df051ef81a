import { encodeAudio, type PlayheadMessage, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import type { Bus } from '@talkmesh/service-kit';
import type { SpeechPiece, StageOutput } from './stage.js';

/** A minute of messages of 20 ms: more than is ever sent ahead. */
const MAX_UNHEARD = 3000;

/** Publishes a session's speech and events, in order. */
export class Outbound {
  readonly #bus: Bus;
  readonly #sessionId: string;
  /** Sent and not heard yet, oldest first. */
  #unheard: SpeechPiece[] = [];

  constructor(bus: Bus, sessionId: string) {
    this.#bus = bus;
    this.#sessionId = sessionId;
  }

  speech(piece: SpeechPiece): void {
    this.#unheard.push(piece);
    if (this.#unheard.length > MAX_UNHEARD) this.#unheard.shift();
    this.#publish(piece);
  }

  heard({ turn, turnPlayedMs }: Pick<PlayheadMessage, 'turn' | 'turnPlayedMs'>): void {
    const samples = (turnPlayedMs * SPEECH_RATE_HZ) / 1000;
    const isHeard = (piece: SpeechPiece): boolean =>
      turn > 0 && (piece.turn < turn || (piece.turn === turn && piece.fromSample + piece.pcm.length <= samples));
    if (this.#unheard[0] !== undefined && isHeard(this.#unheard[0]))
      this.#unheard = this.#unheard.filter((piece) => !isHeard(piece));
  }

  /** While NATS was away nothing of this reached anybody; whoever has it already knows it by turn and sample. */
  again(): void {
    for (const piece of this.#unheard) this.#publish(piece);
  }

  #publish(piece: SpeechPiece): void {
    const { epoch, turn, sequence, mediaTimeUs, pcm, fromSample, endOfTurn } = piece;
    const header = { sessionId: this.#sessionId, epoch, turn, chunk: 0, mediaTimeUs, deadlineUs: 0 };
    const speech = { ...header, sequence, sampleRateHz: SPEECH_RATE_HZ, pcm, fromSample, endOfTurn };
    const message = encodeAudio(speech);
    this.#bus.publish('speech', this.#sessionId, message);
  }

  event({ epoch, turn, body }: Extract<StageOutput, { kind: 'event' }>): void {
    if (body.type === 'turn.finished') this.#unheard = this.#unheard.filter((piece) => piece.turn !== turn);
    this.#bus.publishEvent({ sid: this.#sessionId, epoch, turn, ...body });
  }
}
