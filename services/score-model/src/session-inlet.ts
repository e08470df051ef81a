import type { AudioMessage, PlayheadMessage } from '@talkmesh/contracts';
import { type Bus, HeldInlet, type Trail } from '@talkmesh/service-kit';
import { listen } from './inbound.js';
import type { PauseRequest } from './pause.js';
import { type GapReport, SpeechGapFiller } from './speech-gap-filler.js';
import type { SpokenPosition } from './speech-queue.js';

export interface InletHandlers {
  onSpeech(turn: number, pcm: Int16Array, endOfTurn: boolean, fromSample: number): void;
  onTrail(turn: number, trail: Trail): void;
  onPlayhead(playhead: PlayheadMessage): void;
  onInterrupt(turn: number): void;
  onPause(request: PauseRequest): void;
  onFlush(epoch: number, instance: string): void;
  onGap(report: GapReport): void;
  readBackSpeech(): Promise<readonly AudioMessage[]>;
}

/** Messages of one session. It listens from construction on, and delivers from `start` on, speech without gaps. */
export class SessionInlet {
  readonly #handlers: InletHandlers;
  readonly #inlet = new HeldInlet();
  readonly #unlisten: () => void;
  #speech: SpeechGapFiller | undefined;
  /** While held messages are delivered: turns up to this one are closed by the takeover. */
  #closedTurn = 0;

  constructor(bus: Bus, sessionId: string, handlers: InletHandlers) {
    this.#handlers = handlers;
    this.#unlisten = listen(bus, sessionId, {
      onSpeech: this.#inlet.hold((message: AudioMessage) => this.#speech?.push(message)),
      onTrail: (turn, trail) => handlers.onTrail(turn, trail),
      onPlayhead: this.#inlet.hold((playhead: PlayheadMessage) => handlers.onPlayhead(playhead)),
      onInterrupt: this.#inlet.hold((turn: number) => this.interrupt(turn)),
      onPause: this.#inlet.hold((request: PauseRequest) => handlers.onPause(request)),
      onFlush: this.#inlet.hold((epoch: number, instance: string) => handlers.onFlush(epoch, instance)),
    });
  }

  /** @param from at a takeover, where speech continues @param retained at a takeover, the retained speech in any order */
  start(from?: SpokenPosition, retained: readonly AudioMessage[] = []): void {
    const { onSpeech, onGap, readBackSpeech: readBack } = this.#handlers;
    this.#closedTurn = from?.closedTurn ?? 0;
    this.#speech = new SpeechGapFiller({ onSpeech, onGap, readBack, ...(from !== undefined && { from }) });
    for (const message of [...retained].sort((a, b) => a.turn - b.turn || a.fromSample - b.fromSample))
      this.#speech.push(message);
    this.#inlet.start();
    this.#closedTurn = 0;
  }

  /** The takeover has already carried out an interrupt of a closed turn: it is ignored. */
  interrupt(turn: number): void {
    if (turn !== 0 && turn <= this.#closedTurn) return;
    this.#speech?.cut(turn);
    this.#handlers.onInterrupt(turn);
  }

  async fillGaps(): Promise<GapReport> {
    return (await this.#speech?.fill()) ?? { readBack: 0, lost: 0 };
  }

  close(): void {
    this.#unlisten();
    this.#speech?.close();
  }
}
