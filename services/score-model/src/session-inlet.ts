import type { AudioMessage, PlayheadMessage } from '@talkmesh/contracts';
import type { Bus } from '@talkmesh/service-kit';
import { listen } from './inbound.js';
import { type Refill, SpeechFeed } from './speech-feed.js';
import type { SpokenPosition } from './speech-queue.js';

export interface InletHandlers {
  onSpeech(turn: number, pcm: Int16Array, endOfTurn: boolean, fromSample: number): void;
  onPlayhead(playhead: PlayheadMessage): void;
  onInterrupt(turn: number): void;
  onPause(paused: boolean): void;
  onFlush(epoch: number, instance: string): void;
  onGap(refill: Refill): void;
  recallSpeech(): Promise<readonly AudioMessage[]>;
}

/** What one session hears. It listens from the beginning, and hands on from `start`: what came meanwhile first. */
export class SessionInlet {
  readonly #handlers: InletHandlers;
  readonly #unlisten: () => void;
  #pending: (() => void)[] | undefined = [];
  #feed: SpeechFeed | undefined;
  #closedTurn = 0;

  constructor(bus: Bus, sessionId: string, handlers: InletHandlers) {
    this.#handlers = handlers;
    const later = (act: () => void): void => {
      if (this.#pending === undefined) act();
      else this.#pending.push(act);
    };
    this.#unlisten = listen(bus, sessionId, {
      onSpeech: (message) => later(() => this.#feed?.push(message)),
      onPlayhead: (playhead) => later(() => handlers.onPlayhead(playhead)),
      onInterrupt: (turn) => later(() => this.interrupt(turn)),
      onPause: (paused) => later(() => handlers.onPause(paused)),
      onFlush: (epoch, instance) => later(() => handlers.onFlush(epoch, instance)),
    });
  }

  /** @param from where the speech of a session goes on that another worker had @param retained its speech, in any order */
  start(from?: SpokenPosition, retained: readonly AudioMessage[] = []): void {
    const { onSpeech, onGap, recallSpeech: recall } = this.#handlers;
    this.#closedTurn = from?.closedTurn ?? 0;
    this.#feed = new SpeechFeed({ onSpeech, onGap, recall, ...(from !== undefined && { from }) });
    for (const message of [...retained].sort((a, b) => a.turn - b.turn || a.fromSample - b.fromSample))
      this.#feed.push(message);
    const pending = this.#pending ?? [];
    this.#pending = undefined;
    for (const act of pending) act();
    this.#closedTurn = 0;
  }

  /** A request that was honoured when the session was taken over is not honoured twice. */
  interrupt(turn: number): void {
    if (turn !== 0 && turn <= this.#closedTurn) return;
    this.#feed?.cut(turn);
    this.#handlers.onInterrupt(turn);
  }

  async refill(): Promise<Refill> {
    return (await this.#feed?.refill()) ?? { refilled: 0, lost: 0 };
  }

  close(): void {
    this.#unlisten();
    this.#feed?.close();
  }
}
