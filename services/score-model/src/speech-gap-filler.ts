import type { AudioMessage } from '@talkmesh/contracts';
import type { SpokenPosition } from './speech-queue.js';

/** Result of filling a gap, in samples: `readBack` were retained, `lost` were not. */
export interface GapReport {
  readonly readBack: number;
  readonly lost: number;
  readonly error?: unknown;
}

export interface GapFillerOptions {
  /** Receives speech in order and without repetition; `fromSample` skips only samples that are lost. */
  onSpeech(turn: number, pcm: Int16Array, endOfTurn: boolean, fromSample: number): void;
  /** Reads back the session's retained speech, in any order. May reject. */
  readBack(): Promise<readonly AudioMessage[]>;
  /** Called after each attempt to fill a gap. */
  onGap(report: GapReport): void;
  /** Where speech continues; undefined: at the first turn. */
  readonly from?: SpokenPosition;
}

/** Live messages kept while a gap is being filled. */
const MAX_WAITING = 4096;

/**
 * Turns a session's speech messages into a stream without gaps. Each message carries the position of its samples in the turn, so the
 * next message reveals a lost one, which is read back from NATS. Live messages wait meanwhile.
 */
export class SpeechGapFiller {
  readonly #options: GapFillerOptions;
  #turn: number;
  #samples: number;
  #ended: boolean;
  #waiting: AudioMessage[] | undefined;
  #closed = false;

  constructor(options: GapFillerOptions) {
    this.#options = options;
    const { closedTurn, turn, turnSamples } = options.from ?? { closedTurn: 0, turn: 0, turnSamples: 0 };
    this.#ended = turn <= closedTurn;
    this.#turn = Math.max(turn, closedTurn);
    this.#samples = turn > closedTurn ? turnSamples : 0;
  }

  push(message: AudioMessage): void {
    if (this.#waiting === undefined && this.#follows(message)) this.#take(message);
    else {
      if (this.#waiting === undefined) void this.fill().then(this.#options.onGap);
      if (this.#waiting !== undefined && this.#waiting.length < MAX_WAITING) this.#waiting.push(message);
    }
  }

  /** Reads back missing speech; after a disconnect also without a later message that reveals a gap. Never rejects. */
  async fill(): Promise<GapReport> {
    if (this.#waiting !== undefined) return { readBack: 0, lost: 0 };
    const live: AudioMessage[] = [];
    this.#waiting = live;
    const retained = await this.#options.readBack().catch((error: unknown) => ({ error }));
    this.#waiting = undefined;
    if (this.#closed) return { readBack: 0, lost: 0 };
    const failed = 'error' in retained;
    const byOrder = [...(failed ? [] : retained), ...live].sort((a, b) => orderOf(a) - orderOf(b));
    const fromLive = new Set(live);
    let [readBack, lost] = [0, 0];
    for (const message of byOrder) {
      lost += this.#missingBefore(message);
      const news = this.#take(message);
      if (!fromLive.has(message)) readBack += news;
    }
    return { readBack, lost, ...(failed && { error: retained.error }) };
  }

  /** Ignores further speech of `turn` and earlier turns; 0: of all turns so far. */
  cut(turn: number): void {
    if (turn === 0 || turn === this.#turn) this.#ended = true;
    else if (turn > this.#turn) [this.#turn, this.#samples, this.#ended] = [turn, 0, true];
  }

  /** Drops speech that is still being read back. */
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

  /** @returns samples that had not been received before */
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
