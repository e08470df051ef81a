import { encodeAudio, type Ledger, type PlayheadMessage, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import type { Bus } from '@talkmesh/service-kit';
import type { ConversationOutput, SpeechPiece } from './conversation-messages.js';

/** One minute of 20 ms messages, more than is ever sent ahead of the playhead. */
const MAX_UNHEARD_MESSAGES = 3000;

/** Publishes a session's speech and events in order, and keeps the speech that the listener has not heard so that it can be republished. */
export class Outbound {
  readonly #bus: Bus;
  readonly #sessionId: string;
  /** Speech that was sent and not yet heard, oldest first. */
  #unheard: SpeechPiece[] = [];

  constructor(bus: Bus, sessionId: string) {
    this.#bus = bus;
    this.#sessionId = sessionId;
  }

  speech(piece: SpeechPiece, ledger?: Ledger): void {
    this.#unheard.push(piece);
    if (this.#unheard.length > MAX_UNHEARD_MESSAGES) this.#unheard.shift();
    this.#publish(piece, ledger);
  }

  heard({ turn, turnPlayedMs }: Pick<PlayheadMessage, 'turn' | 'turnPlayedMs'>): void {
    const samples = (turnPlayedMs * SPEECH_RATE_HZ) / 1000;
    const isHeard = (piece: SpeechPiece): boolean =>
      turn > 0 && (piece.turn < turn || (piece.turn === turn && piece.fromSample + piece.pcm.length <= samples));
    if (this.#unheard[0] !== undefined && isHeard(this.#unheard[0]))
      this.#unheard = this.#unheard.filter((piece) => !isHeard(piece));
  }

  /**
   * Messages may be lost while the connection to NATS is down. Subscribers recognise duplicates by turn and first sample.
   * @param inTurn runs `publish` in the span of the turn
   */
  republish(inTurn: (turn: number, publish: () => void) => void): void {
    for (const piece of this.#unheard) inTurn(piece.turn, () => this.#publish(piece));
  }

  #publish(piece: SpeechPiece, ledger?: Ledger): void {
    const { epoch, turn, sequence, mediaTimeUs, pcm, fromSample, endOfTurn } = piece;
    const header = { sessionId: this.#sessionId, epoch, turn, chunk: 0, mediaTimeUs, deadlineUs: 0 };
    const speech = { ...header, sequence, sampleRateHz: SPEECH_RATE_HZ, pcm, fromSample, endOfTurn };
    this.#bus.publish('speech', this.#sessionId, encodeAudio(speech), ledger);
  }

  event({ epoch, turn, body }: Extract<ConversationOutput, { kind: 'event' }>): void {
    if (body.type === 'turn.finished' || body.type === 'turn.cancelled')
      this.#unheard = this.#unheard.filter((piece) => piece.turn !== turn);
    this.#bus.publishEvent({ sessionId: this.#sessionId, epoch, turn, ...body });
  }
}
