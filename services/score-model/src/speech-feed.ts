import type { AudioMessage } from '@talkmesh/contracts';
import type { SpokenPosition } from './speech-queue.js';

/** What reading back brought, in samples: `lost` ones were not retained either. */
export interface Refill {
  readonly refilled: number;
  readonly lost: number;
  readonly error?: unknown;
}

export interface SpeechFeedOptions {
  /** Takes speech: in order, nothing twice; `fromSample` jumps only over what is lost for good. */
  onSpeech(turn: number, pcm: Int16Array, endOfTurn: boolean, fromSample: number): void;
  /** What NATS retains of this session's speech, in any order; it may reject. */
  recall(): Promise<readonly AudioMessage[]>;
  /** Speech was missing, and was read back as far as it could be. */
  onGap(refill: Refill): void;
  /** Where the speech goes on; left out: at the first turn. */
  readonly from?: SpokenPosition;
}

/** Live messages kept while a gap is being filled. */
const MAX_WAITING = 4096;

/**
 * Makes a session's speech messages a stream without gaps: each says which samples of its turn it holds, so that one that was
 * lost shows at the next, and is read back from what NATS retains. While that takes, live messages wait.
 */
export class SpeechFeed {
  readonly #options: SpeechFeedOptions;
  #turn: number;
  #samples: number;
  #ended: boolean;
  #waiting: AudioMessage[] | undefined;
  #closed = false;

  constructor(options: SpeechFeedOptions) {
    this.#options = options;
    const { closedTurn, turn, turnSamples } = options.from ?? { closedTurn: 0, turn: 0, turnSamples: 0 };
    this.#ended = turn <= closedTurn;
    this.#turn = Math.max(turn, closedTurn);
    this.#samples = turn > closedTurn ? turnSamples : 0;
  }

  push(message: AudioMessage): void {
    if (this.#waiting === undefined && this.#follows(message)) this.#take(message);
    else {
      if (this.#waiting === undefined) void this.refill().then(this.#options.onGap);
      if (this.#waiting !== undefined && this.#waiting.length < MAX_WAITING) this.#waiting.push(message);
    }
  }

  /** Reads back what was missed: also where no later message shows a gap, after NATS was away. Never rejects. */
  async refill(): Promise<Refill> {
    if (this.#waiting !== undefined) return { refilled: 0, lost: 0 };
    const live: AudioMessage[] = [];
    this.#waiting = live;
    const retained = await this.#options.recall().catch((error: unknown) => ({ error }));
    this.#waiting = undefined;
    if (this.#closed) return { refilled: 0, lost: 0 };
    const failed = 'error' in retained;
    const byOrder = [...(failed ? [] : retained), ...live].sort((a, b) => orderOf(a) - orderOf(b));
    const fromLive = new Set(live);
    let [refilled, lost] = [0, 0];
    for (const message of byOrder) {
      lost += this.#missingBefore(message);
      const news = this.#take(message);
      if (!fromLive.has(message)) refilled += news;
    }
    return { refilled, lost, ...(failed && { error: retained.error }) };
  }

  /** Nothing more is wanted of `turn` and those before it; 0: of all heard of. */
  cut(turn: number): void {
    if (turn === 0 || turn === this.#turn) this.#ended = true;
    else if (turn > this.#turn) [this.#turn, this.#samples, this.#ended] = [turn, 0, true];
  }

  /** The session is over: what is still being read back is dropped. */
  close(): void {
    this.#closed = true;
  }

  #follows(message: AudioMessage): boolean {
    const tailMissing = message.turn > this.#turn && !this.#ended;
    return !tailMissing && this.#missingBefore(message) === 0;
  }

  #missingBefore({ turn, fromSample }: AudioMessage): number {
    if (turn < this.#turn || (turn === this.#turn && this.#ended)) return 0;
    return Math.max(0, fromSample - (turn === this.#turn ? this.#samples : 0));
  }

  /** @returns samples that were news */
  #take({ turn, fromSample, pcm, endOfTurn }: AudioMessage): number {
    if (turn < this.#turn || (turn === this.#turn && this.#ended)) return 0;
    if (turn > this.#turn) this.#samples = 0;
    const known = Math.min(pcm.length, Math.max(0, this.#samples - fromSample));
    if (turn === this.#turn && known === pcm.length && !endOfTurn) return 0;
    this.#turn = turn;
    this.#samples = Math.max(this.#samples, fromSample + pcm.length);
    this.#ended = endOfTurn;
    this.#options.onSpeech(turn, pcm.subarray(known), endOfTurn, fromSample + known);
    return pcm.length - known;
  }
}

/** Turn and position as one number; a turn is shorter than 2^32 samples. */
const orderOf = ({ turn, fromSample }: AudioMessage): number => turn * 2 ** 32 + fromSample;
