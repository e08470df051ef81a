import { SPEECH_RATE_HZ } from '@talkmesh/contracts';
import type { UnfinishedTurn } from './resume.js';

export type TurnSource = 'voice' | 'text' | 'external';

/** One thing the avatar says, from its first speech to the last of it played. Times are milliseconds of speech. */
export interface Turn {
  readonly number: number;
  readonly source: TurnSource;
  readonly response: string;
  readonly maxMs: number;
  readonly waiting: Int16Array[];
  acceptedMs: number;
  sentMs: number;
  playedMs: number;
  complete: boolean;
  sent: boolean;
  announced: boolean;
  seen: boolean;
  /** Media time of the first playhead in no turn since speech was last sent, microseconds. */
  leftAtUs: number | undefined;
}

export interface TurnPiece {
  readonly turn: Turn;
  readonly pcm: Int16Array;
  readonly endOfTurn: boolean;
  readonly first: boolean;
  /** Samples of the turn sent before. */
  readonly fromSample: number;
}

export interface PlayedPosition {
  readonly turn: number;
  readonly turnPlayedMs: number;
  readonly mediaTimeUs: number;
}

/** The playhead counts whole frames and rounds. */
const PLAYED_TOLERANCE_MS = 1;
/** Playing this long in no turn, after a turn was heard, means that everything sent of it was consumed (it ran dry). */
const DRY_AFTER_US = 3_000_000;
/** Playing this long in no turn, while a turn that was sent was never heard, means that its speech is lost. */
const LOST_AFTER_US = 20_000_000;
const RETIRED_RESPONSES = 64;

const msOf = (pcm: Int16Array): number => (pcm.length * 1000) / SPEECH_RATE_HZ;
const samplesOf = (ms: number): number => Math.round((ms * SPEECH_RATE_HZ) / 1000);

/** Turns in the order they are spoken: what waits, what was sent, what was heard. Bounded by each turn's `maxMs` and `maxTurns`. */
export class TurnQueue {
  #turns: Turn[] = [];
  #retired: string[] = [];
  #counter = 0;
  readonly maxTurns: number;

  constructor(maxTurns: number) {
    this.maxTurns = maxTurns;
  }

  get running(): readonly Turn[] {
    return this.#turns;
  }

  /** Cut, or complete: nothing more of it is wanted. */
  isRetired(response: string): boolean {
    return this.#retired.includes(response);
  }

  /** Numbers go on behind `turns`; turns another bridge began are followed to their end, nothing is added to them. */
  adopt(turns: number, unfinished: readonly UnfinishedTurn[]): void {
    this.#counter = Math.max(this.#counter, turns);
    for (const { number, source, sentMs, playedMs } of unfinished)
      this.#turns.push({
        ...{ number, source, sentMs, playedMs, response: `resumed-${number}` },
        ...{ maxMs: sentMs, acceptedMs: sentMs, waiting: [], leftAtUs: undefined },
        ...{ complete: true, sent: true, announced: true, seen: true },
      });
  }

  find(response: string): Turn | undefined {
    return this.#turns.find((turn) => turn.response === response);
  }

  begin(source: TurnSource, response: string, maxMs: number): Turn | undefined {
    if (this.#turns.length >= this.maxTurns) return undefined;
    this.#counter += 1;
    const turn: Turn = {
      number: this.#counter,
      source,
      response,
      maxMs,
      waiting: [],
      acceptedMs: 0,
      sentMs: 0,
      playedMs: 0,
      complete: false,
      sent: false,
      announced: false,
      seen: false,
      leftAtUs: undefined,
    };
    this.#turns.push(turn);
    return turn;
  }

  /** False when the turn would be longer than allowed: it is complete then, without `pcm`. */
  append(turn: Turn, pcm: Int16Array): boolean {
    if (turn.acceptedMs + msOf(pcm) > turn.maxMs) {
      this.complete(turn);
      return false;
    }
    turn.waiting.push(pcm);
    turn.acceptedMs += msOf(pcm);
    return true;
  }

  complete(turn: Turn): void {
    turn.complete = true;
    this.retire(turn.response);
  }

  /** Speech to send now, so that at most `aheadMs` is sent and not played. */
  take(aheadMs: number): TurnPiece[] {
    const pieces: TurnPiece[] = [];
    let ahead = this.#turns.reduce((sum, turn) => sum + turn.sentMs - turn.playedMs, 0);
    for (const turn of this.#turns) {
      if (turn.sent) continue;
      while (turn.waiting.length > 0 && ahead < aheadMs) {
        const pcm = turn.waiting.shift() as Int16Array;
        const fromSample = samplesOf(turn.sentMs);
        turn.sentMs += msOf(pcm);
        ahead += msOf(pcm);
        turn.sent = turn.complete && turn.waiting.length === 0;
        pieces.push(this.#piece(turn, pcm, fromSample));
      }
      if (!turn.sent && turn.complete && turn.waiting.length === 0) {
        turn.sent = true;
        pieces.push(this.#piece(turn, new Int16Array(0), samplesOf(turn.sentMs)));
      }
      if (!turn.sent) break;
    }
    return pieces;
  }

  /** Follows the playhead. @param paused nothing is said on purpose @returns turns that are over now: `lost` ones were never played. */
  played(at: PlayedPosition, paused = false): { turn: Turn; lost: boolean }[] {
    const over: { turn: Turn; lost: boolean }[] = [];
    for (const turn of this.#turns) {
      const outcome = this.#follow(turn, at, paused);
      if (outcome !== undefined) over.push({ turn, lost: outcome === 'lost' });
    }
    for (const { turn } of over) this.remove(turn);
    return over;
  }

  cut(): Turn[] {
    const cut = this.#turns;
    this.#turns = [];
    for (const turn of cut) this.retire(turn.response);
    return cut;
  }

  remove(turn: Turn): void {
    this.#turns = this.#turns.filter((other) => other !== turn);
    this.retire(turn.response);
  }

  #follow(turn: Turn, at: PlayedPosition, paused: boolean): 'played' | 'lost' | undefined {
    if (at.turn === turn.number) {
      turn.seen = true;
      turn.leftAtUs = undefined;
      turn.playedMs = Math.max(turn.playedMs, Math.min(at.turnPlayedMs, turn.sentMs));
      return turn.sent && turn.playedMs >= turn.sentMs - PLAYED_TOLERANCE_MS ? 'played' : undefined;
    }
    if (at.turn > turn.number && turn.sent) return this.#consumed(turn);
    if (paused) turn.leftAtUs = undefined;
    if (paused || at.turn !== 0 || turn.sentMs === 0) return undefined;
    turn.leftAtUs ??= at.mediaTimeUs;
    const awayUs = at.mediaTimeUs - turn.leftAtUs;
    if (!turn.seen) return awayUs >= LOST_AFTER_US ? 'lost' : undefined;
    return awayUs >= DRY_AFTER_US ? this.#consumed(turn) : undefined;
  }

  #consumed(turn: Turn): 'played' | undefined {
    turn.playedMs = turn.sentMs;
    return turn.sent ? 'played' : undefined;
  }

  #piece(turn: Turn, pcm: Int16Array, fromSample: number): TurnPiece {
    const first = !turn.announced;
    turn.announced = true;
    turn.leftAtUs = undefined;
    return { turn, pcm, endOfTurn: turn.sent, first, fromSample };
  }

  retire(response: string): void {
    if (this.#retired.includes(response)) return;
    this.#retired.push(response);
    if (this.#retired.length > RETIRED_RESPONSES) this.#retired.shift();
  }
}
