import { PcmRing } from '@talkmesh/media';

/** The audio of one chunk. */
export interface ChunkAudio {
  /** 0: idle. */
  readonly turn: number;
  readonly pcm: Int16Array;
  readonly speaking: boolean;
  readonly endOfTurn: boolean;
  /** Speech in `pcm`, before the padding. */
  readonly speechSamples: number;
  /** Samples of the turn spoken before this chunk. In an idle chunk: of the paused turn, if there is one. */
  readonly fromSample: number;
  /** Samples of the turn spoken up to the end of this chunk, without padding. */
  readonly turnSamples: number;
  /** Turns up to this one are over with this chunk: finished or cut. */
  readonly closedTurn: number;
}

/** What is kept of a chunk, to take its speech back. */
export type Taken = Pick<ChunkAudio, 'turn' | 'pcm' | 'speechSamples' | 'fromSample' | 'turnSamples'>;

/** What became of pushed speech. `first`: it began a turn; `stale`: its turn is over or was cut; `full`: there was no room. */
export type PushResult = 'first' | 'queued' | 'stale' | 'full';

/** Samples of a turn that were lost, and the position after which they are missing. */
interface Skip {
  readonly after: number;
  readonly samples: number;
}

interface Turn {
  readonly turn: number;
  readonly ring: PcmRing;
  readonly skips: Skip[];
  /** Positions in the turn: up to which it was spoken, and up to which it was queued. */
  spokenSamples: number;
  queuedSamples: number;
  ended: boolean;
  heard: boolean;
}

/** How far speech got: `turnSamples` of `turn` were spoken and more may come, unless it is among the turns up to `closedTurn`. */
export interface SpokenPosition {
  readonly closedTurn: number;
  /** 0: no turn was being spoken. */
  readonly turn: number;
  readonly turnSamples: number;
}

/**
 * Speech of one session, turn by turn; a chunk never mixes two turns. Only speech that is cut is dropped. The last
 * samples of a turn wait until more speech arrives or its end is known, so that its last chunk can be marked.
 */
export class SpeechQueue {
  readonly #samplesPerChunk: number;
  readonly #maxSamples: number;
  readonly #turns: Turn[] = [];
  #queued = 0;
  #newest = 0;
  #closed = 0;
  #over = 0;
  #cut = 0;

  constructor(options: { samplesPerChunk: number; maxSamples: number; from?: SpokenPosition }) {
    this.#samplesPerChunk = options.samplesPerChunk;
    this.#maxSamples = options.maxSamples;
    if (options.from !== undefined) this.#goOn(options.from);
  }

  get newestTurn(): number {
    return this.#newest;
  }

  /** The newest turn that was cut; 0: none. */
  get cutTurn(): number {
    return this.#cut;
  }

  get samples(): number {
    return this.#queued;
  }

  /** @param fromSample position in the turn; beyond what was queued, the samples between are lost. Undefined: the speech follows what was queued */
  push(turn: number, pcm: Int16Array, endOfTurn: boolean, fromSample?: number): PushResult {
    if (turn <= this.#closed || turn < this.#newest) return 'stale';
    if (this.#queued + pcm.length > this.#maxSamples) return 'full';
    if (this.#turns.at(-1)?.turn !== turn) {
      // A newer turn ends the ones before, also when the message that said so was lost.
      for (const older of this.#turns) older.ended = true;
      this.#turns.push(newTurn(turn, 0));
    }
    this.#newest = turn;
    const current = this.#turns.at(-1) as Turn;
    const first = !current.heard && pcm.length > 0;
    current.heard ||= first;
    const lost = (fromSample ?? current.queuedSamples) - current.queuedSamples;
    if (lost > 0) current.skips.push({ after: current.queuedSamples, samples: lost });
    current.queuedSamples += Math.max(0, lost) + pcm.length;
    current.ring.push(pcm);
    this.#queued += pcm.length;
    if (endOfTurn) {
      current.ended = true;
      this.#closed = turn;
    }
    this.#skipEmptyTurns();
    return first ? 'first' : 'queued';
  }

  /** `ready`: a chunk can be taken; `starving`: the turn continues, but its speech has not arrived; `idle`: no speech is queued. */
  status(): 'ready' | 'starving' | 'idle' {
    const turn = this.#turns[0];
    if (turn === undefined) return 'idle';
    return turn.ended || turn.ring.length > this.#samplesPerChunk ? 'ready' : 'starving';
  }

  /** Whether all speech of a turn has arrived. */
  isComplete(turn: number): boolean {
    return turn <= this.#closed;
  }

  /** Whether speech is queued that can be spoken at once. */
  get hasSpeech(): boolean {
    const turn = this.#turns[0];
    return turn !== undefined && (turn.ended || turn.ring.length > 0);
  }

  /** The next turn and how much of it was spoken; turn 0 when there is none. */
  get nextTurn(): { readonly turn: number; readonly turnSamples: number } {
    const turn = this.#turns[0];
    return { turn: turn?.turn ?? 0, turnSamples: turn?.spokenSamples ?? 0 };
  }

  /** The next chunk, padded with zeros if too short; silence without queued speech. */
  take(): ChunkAudio {
    const turn = this.#turns[0];
    if (turn === undefined) return this.silence();
    const fromSample = turn.spokenSamples;
    const available = Math.min(turn.ring.length, this.#samplesPerChunk);
    const pcm = turn.ring.take(this.#samplesPerChunk);
    this.#queued -= available;
    advance(turn, available);
    const endOfTurn = turn.ended && turn.ring.length === 0;
    this.#over = Math.max(this.#over, endOfTurn ? turn.turn : turn.turn - 1);
    if (endOfTurn) this.#turns.shift();
    this.#skipEmptyTurns();
    const { spokenSamples: turnSamples } = turn;
    const speech = { speechSamples: available, fromSample, turnSamples };
    return { turn: turn.turn, pcm, speaking: available > 0, endOfTurn, ...speech, closedTurn: this.#over };
  }

  /** A chunk of silence; queued speech stays queued. */
  silence(): ChunkAudio {
    const pcm = new Int16Array(this.#samplesPerChunk);
    const { turnSamples } = this.nextTurn;
    const speech = { speechSamples: 0, fromSample: turnSamples, turnSamples };
    return { turn: 0, pcm, speaking: false, endOfTurn: false, ...speech, closedTurn: this.#over };
  }

  /** Returns the speech of the newest chunks, in the order they were taken, to the front of the queue, because they were not played. Cut turns stay cut. */
  takeBack(chunks: readonly Taken[]): void {
    for (const { turn, pcm, speechSamples, fromSample, turnSamples } of [...chunks].reverse()) {
      if (turn <= this.#cut) continue;
      // A turn that is no longer queued was taken to its end.
      if (this.#turns[0]?.turn !== turn)
        this.#turns.unshift({ ...newTurn(turn, turnSamples), ended: true, heard: true });
      const front = this.#turns[0] as Turn;
      const lost = turnSamples - fromSample - speechSamples;
      if (lost > 0) front.skips.unshift({ after: fromSample, samples: lost });
      front.spokenSamples = fromSample;
      front.ring.putBack(pcm.subarray(0, speechSamples));
      this.#queued += speechSamples;
      this.#over = turn - 1;
    }
  }

  /** Skips what the listener had heard of `turn` before it was taken back: its samples up to `turnSamples`. */
  skipHeard(turn: number, turnSamples: number): void {
    const front = this.#turns[0];
    if (front?.turn !== turn) return;
    while (front.ring.length > 0 && front.spokenSamples < turnSamples) {
      const samples = Math.min(front.ring.length, turnSamples - front.spokenSamples);
      front.ring.take(samples);
      this.#queued -= samples;
      advance(front, samples);
    }
    if (!front.ended || front.ring.length > 0) return;
    this.#turns.shift();
    this.#over = Math.max(this.#over, turn);
  }

  /** Drops the speech of `turn` and of older turns, queued or still to arrive; 0: all turns so far. @returns queued samples that were dropped */
  cut(turn: number): number {
    const last = turn === 0 ? this.#newest : turn;
    this.#closed = Math.max(this.#closed, last);
    this.#cut = Math.max(this.#cut, last);
    this.#over = Math.max(this.#over, last);
    let dropped = 0;
    while (this.#turns[0] !== undefined && this.#turns[0].turn <= last)
      dropped += (this.#turns.shift() as Turn).ring.length;
    this.#queued -= dropped;
    return dropped;
  }

  #goOn({ closedTurn, turn, turnSamples }: SpokenPosition): void {
    this.#closed = closedTurn;
    this.#over = closedTurn;
    this.#newest = Math.max(turn, closedTurn);
    if (turn <= closedTurn) return;
    this.#turns.push({ ...newTurn(turn, turnSamples), heard: true });
  }

  #skipEmptyTurns(): void {
    while (this.#turns[0]?.ended && !this.#turns[0].heard)
      this.#over = Math.max(this.#over, (this.#turns.shift() as Turn).turn);
  }
}

const newTurn = (turn: number, samples: number): Turn => ({
  turn,
  ring: new PcmRing(),
  skips: [],
  spokenSamples: samples,
  queuedSamples: samples,
  ended: false,
  heard: false,
});

function advance(turn: Turn, samples: number): void {
  let left = samples;
  for (let skip = turn.skips[0]; skip !== undefined && turn.spokenSamples + left > skip.after; skip = turn.skips[0]) {
    left -= skip.after - turn.spokenSamples;
    turn.spokenSamples = skip.after + skip.samples;
    turn.skips.shift();
  }
  turn.spokenSamples += left;
}
