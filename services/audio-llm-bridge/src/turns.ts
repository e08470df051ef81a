import { SPEECH_RATE_HZ } from '@talkmesh/contracts';
import { Captions } from './captions.js';

export type TurnSource = 'voice' | 'text' | 'external';

/** One utterance of the avatar, from its first speech until all of it was played. Times are milliseconds of speech. */
export interface Turn {
  readonly number: number;
  readonly source: TurnSource;
  /** The provider's id of the response that the turn speaks. */
  readonly response: string;
  readonly maxMs: number;
  /** Speech not yet sent, oldest first. */
  readonly waiting: Int16Array[];
  /** Speech received from the provider, sent or not. */
  acceptedMs: number;
  sentMs: number;
  playedMs: number;
  /** Whether the provider has ended it: no more speech is added. */
  complete: boolean;
  /** Whether all of its speech was sent. */
  sent: boolean;
  /** Whether a playhead in this turn has arrived, or may have arrived at the bridge before. */
  seen: boolean;
  /** Whether its `turn.started` was sent. */
  started: boolean;
  /** Whether the rest of its speech was lost with the bridge that had it. */
  readonly isTruncated: boolean;
  readonly captions: Captions;
  /** Media time of the first playhead outside any turn since speech of this turn was last sent, microseconds. */
  leftAtUs: number | undefined;
}

/** A turn that another bridge began: some of its speech was sent, and it was not reported as finished. */
export interface UnfinishedTurn {
  readonly number: number;
  readonly source: TurnSource;
  readonly sentMs: number;
  readonly playedMs: number;
  /** Whether its last speech was sent. */
  readonly ended: boolean;
  /** Whether its `turn.started` was sent. */
  readonly started: boolean;
  /** Transcript so far; empty when there is none. */
  readonly text: string;
  /** The caption that was shown last; empty when there was none. */
  readonly lastCaption: string;
}

export interface TurnPiece {
  readonly turn: Turn;
  readonly pcm: Int16Array;
  readonly endOfTurn: boolean;
  /** Samples of the turn that were sent before this piece. */
  readonly fromSample: number;
}

/** A turn after a playhead: `played` to its end, `lost` without having been heard, or still running. */
export interface PlayedTurn {
  readonly turn: Turn;
  readonly end: 'played' | 'lost' | undefined;
}

export interface PlayedPosition {
  readonly turn: number;
  readonly turnPlayedMs: number;
  readonly mediaTimeUs: number;
}

/** The playhead counts whole frames, so its milliseconds are rounded. */
const PLAYED_TOLERANCE_MS = 1;
/** The playhead stays outside any turn for this long after a turn was heard: everything sent of that turn has been played. */
const DRY_AFTER_US = 3_000_000;
/** The playhead stays outside any turn for this long and a sent turn was never heard: its speech is lost. */
const LOST_AFTER_US = 20_000_000;
/** Ids of ended responses that are remembered, to drop speech that arrives late. */
const MAX_RETIRED_RESPONSES = 64;

const msOf = (pcm: Int16Array): number => (pcm.length * 1000) / SPEECH_RATE_HZ;
const samplesOf = (ms: number): number => Math.round((ms * SPEECH_RATE_HZ) / 1000);

/** Turns in the order in which they are spoken, with what waits, was sent and was played of each. At most `maxTurns` turns of `maxMs` each. */
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

  /** Number that the next turn will have. */
  get nextNumber(): number {
    return this.#counter + 1;
  }

  /** Whether a response was cut or is complete; further speech of it must be dropped. */
  isRetired(response: string): boolean {
    return this.#retired.includes(response);
  }

  /** Continues the numbering after `turns`. Turns that another bridge began are tracked until they are played; no speech is added to them. */
  adopt(turns: number, unfinished: readonly UnfinishedTurn[]): void {
    this.#counter = Math.max(this.#counter, turns);
    for (const { number, source, sentMs, playedMs, ended, started, text, lastCaption } of unfinished)
      this.#turns.push({
        ...{ number, source, sentMs, playedMs, started, response: `taken-over-${number}` },
        ...{ maxMs: sentMs, acceptedMs: sentMs, waiting: [], leftAtUs: undefined },
        ...{ complete: true, sent: true, seen: true, captions: Captions.after(text, lastCaption), isTruncated: !ended },
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
      seen: false,
      started: false,
      isTruncated: false,
      captions: new Captions(),
      leftAtUs: undefined,
    };
    this.#turns.push(turn);
    return turn;
  }

  /** @returns false when `pcm` would make the turn too long; the turn is then completed without it */
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

  /** Takes the speech to send now; at most `aheadMs` is then sent and not yet played. */
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

  /**
   * Moves the turns to the reported playhead. While `paused`, a playhead outside any turn is expected and does not count as loss.
   * @returns the turns of which more was heard, or which are over, oldest first; `lost` ones were never played
   */
  played(at: PlayedPosition, paused = false): PlayedTurn[] {
    const changed: PlayedTurn[] = [];
    for (const turn of this.#turns) {
      const before = turn.playedMs;
      const end = this.#follow(turn, at, paused);
      if (end !== undefined || turn.playedMs > before) changed.push({ turn, end });
    }
    for (const { turn, end } of changed) if (end !== undefined) this.remove(turn);
    return changed;
  }

  /** Ends all turns at once. @returns them, oldest first */
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
    }
    if (turn.sent && turn.playedMs > 0 && turn.playedMs >= turn.sentMs - PLAYED_TOLERANCE_MS) return 'played';
    if (at.turn === turn.number) return undefined;
    if (at.turn > turn.number && turn.sent) return this.#consumed(turn);
    if (paused) turn.leftAtUs = undefined;
    if (paused || at.turn !== 0 || turn.sentMs === 0) return undefined;
    turn.leftAtUs ??= at.mediaTimeUs;
    const outsideUs = at.mediaTimeUs - turn.leftAtUs;
    if (!turn.seen) return outsideUs >= LOST_AFTER_US ? 'lost' : undefined;
    return outsideUs >= DRY_AFTER_US ? this.#consumed(turn) : undefined;
  }

  #consumed(turn: Turn): 'played' | undefined {
    turn.playedMs = turn.sentMs;
    return turn.sent ? 'played' : undefined;
  }

  #piece(turn: Turn, pcm: Int16Array, fromSample: number): TurnPiece {
    turn.leftAtUs = undefined;
    return { turn, pcm, endOfTurn: turn.sent, fromSample };
  }

  retire(response: string): void {
    if (this.#retired.includes(response)) return;
    this.#retired.push(response);
    if (this.#retired.length > MAX_RETIRED_RESPONSES) this.#retired.shift();
  }
}
