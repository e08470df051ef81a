/** A call and its listener on a virtual clock: chunks, flushes and playheads take their time, and what is heard is kept. */
import { ChunkPlanner } from '../chunk-planner.js';
import { FakeClock, sessionOptions } from './fakes.js';

const FRAME_MS = 40;
const FRAMES = 12;
const SAMPLES = 2 * FRAMES;
export const GEOMETRY = {
  framesPerChunk: FRAMES,
  chunkMs: FRAMES * FRAME_MS,
  samplesPerFrame: SAMPLES / FRAMES,
  samplesPerChunk: SAMPLES,
  latentValues: 1,
  sinkValues: 0,
  tokens: 1,
};
/** A flush may reach the listener this late, frames: more than the margin of two. */
const LATEST_FLUSH = 5;
/** Frames after which every playhead from before a pause has come. */
const SHORTEST_PAUSE = 14;
const TURNS = 6;

type Job = ReturnType<ChunkPlanner['takeNext']>;

interface Turn {
  readonly sent: number[];
  readonly heard: number[];
  cut: boolean;
}

export class PlayedSession {
  readonly turns = new Map<number, Turn>();
  /** Turns of the samples heard. */
  readonly order: number[] = [];
  /** Samples heard of chunks that a pause had silenced, after the listener knew. */
  readonly inPause: number[] = [];
  pauses = 0;
  takenBack = 0;
  lateFlushes = 0;
  /** Idle chunks that were left for speech. */
  idleLeft = 0;
  readonly #clock = new FakeClock();
  readonly #call: ChunkPlanner;
  readonly #random: (below: number) => number;
  #now = 0;
  /** What is on its way, each lane in its order. */
  #due: { readonly at: number; readonly lane: string; readonly act: () => void }[] = [];
  #chunks = new Map<number, Job>();
  #at = { epoch: 0, chunk: 0, frame: -1 };
  /** Chunks that are not played: the player goes on with `until`. */
  #cut = { from: 0, until: 0 };
  #pausedAt = -1;
  #silentFrom: number | undefined;
  #unsent: { turn: number; pcm: Int16Array; endOfTurn: boolean }[];

  constructor(seed: number) {
    this.#random = randomOf(seed);
    this.#call = new ChunkPlanner(sessionOptions({ leadChunks: 4 }), GEOMETRY, this.#clock);
    this.#unsent = Array.from({ length: TURNS }, (_, i) => this.#turn(i + 1)).flat();
  }

  /** Lets `frames` pass, then ends a pause and lets everything be heard. */
  run(frames: number): void {
    for (let i = 0; i < frames; i++) {
      this.#ask();
      this.#frame();
    }
    for (let i = 0; i < SHORTEST_PAUSE; i++) this.#frame();
    if (this.#call.isPaused) this.#resume();
    while (this.#unsent.length > 0) this.#speak();
    for (let i = 0; i < 1500; i++) this.#frame();
  }

  #ask(): void {
    const what = this.#random(60);
    if (what < 12) this.#speak();
    else if (what < 15) this.#pause();
    else if (what < 19) this.#resume();
    else if (what === 19 && this.#random(4) === 0) this.#interrupt();
  }

  #frame(): void {
    this.#now += 1;
    this.#clock.advance(FRAME_MS);
    const due = this.#due.filter(({ at }) => at <= this.#now);
    if (due.length > 0) this.#due = this.#due.filter(({ at }) => at > this.#now);
    for (const { act } of due) act();
    while (this.#isReady()) {
      const job = this.#call.takeNext();
      this.#send('listener', this.#random(3), () => {
        this.#chunks.set(job.chunk, job);
        if (job.endsIdle) this.#leaveIdle(job);
      });
    }
    this.#play();
  }

  /** The player goes on with a chunk that begins speech, if only idle chunks come before it. */
  #leaveIdle({ chunk, epoch }: Job): void {
    const waiting = [...this.#chunks.values()].filter((job) => job.chunk >= this.#at.chunk && job.chunk < chunk);
    const isIdle = waiting.every(
      (job) => job.turn === 0 || (job.chunk === this.#at.chunk && this.#at.frame === FRAMES - 1),
    );
    if (!isIdle || this.#at.chunk >= chunk || this.#at.epoch >= epoch) return;
    this.idleLeft += 1;
    this.#at = { ...this.#at, chunk: chunk - 1, frame: FRAMES - 1 };
  }

  #isReady(): boolean {
    this.#call.updateGrace();
    return this.#call.readyAtMs() <= this.#clock.nowMs();
  }

  #play(): void {
    const before = this.#at;
    const following =
      before.frame === FRAMES - 1
        ? { chunk: before.chunk + 1, frame: 0 }
        : { chunk: before.chunk, frame: before.frame + 1 };
    const isCut = following.chunk >= this.#cut.from && following.chunk < this.#cut.until;
    const next = isCut ? { chunk: this.#cut.until, frame: 0 } : following;
    const job = this.#chunks.get(next.chunk);
    if (job === undefined) return;
    this.#at = { ...next, epoch: job.epoch };
    const samples = job.pcm.subarray(2 * next.frame, 2 * next.frame + 2).filter((sample) => sample !== 0);
    this.#hear(job, samples);
    const { epoch, turn } = job;
    const mediaTimeUs = (next.chunk * FRAMES + next.frame) * FRAME_MS * 1000;
    const head = { sessionId: this.#call.options.sessionId, epoch, turn, ...next, mediaTimeUs, deadlineUs: 0 };
    const message = { ...head, creditChunks: 4, heldFrames: 0, turnPlayedMs: 0 };
    this.#send('playhead', this.#random(4), () => this.#call.onPlayhead(message));
  }

  #hear({ turn, chunk }: Job, samples: Int16Array): void {
    if (samples.length === 0) return;
    this.turns.get(turn)?.heard.push(...samples);
    this.order.push(turn);
    if (this.#silentFrom !== undefined && chunk >= this.#silentFrom) this.inPause.push(...samples);
  }

  #speak(): void {
    const piece = this.#unsent.shift();
    if (piece === undefined) return;
    const { turn, pcm, endOfTurn } = piece;
    const { result, flush } = this.#call.onSpeech(turn, pcm, endOfTurn);
    if (result !== 'stale') this.turns.get(turn)?.sent.push(...pcm);
    this.#flushed(flush);
  }

  #pause(): void {
    const answer = this.#call.onPause('command');
    if (answer === undefined) return;
    this.pauses += 1;
    this.#pausedAt = this.#now;
    if (answer.flush !== undefined) this.takenBack += 1;
    this.#flushed(answer.flush, true);
  }

  #resume(): void {
    if (this.#now - this.#pausedAt < SHORTEST_PAUSE) return;
    this.#silentFrom = undefined;
    this.#flushed(this.#call.onResume('command')?.flush);
  }

  #interrupt(): void {
    const newest = Math.max(0, ...[...this.turns].filter(([, { sent }]) => sent.length > 0).map(([turn]) => turn));
    const { flush, droppedSamples } = this.#call.onInterrupt(newest);
    if (flush === undefined) return;
    this.#silentFrom = undefined;
    for (const [turn, state] of this.turns)
      if (turn <= newest && (droppedSamples > 0 || state.heard.length < state.sent.length)) state.cut = true;
    this.#flushed(flush);
  }

  #flushed(flush: ReturnType<ChunkPlanner['onInterrupt']>['flush'], silences = false): void {
    if (flush === undefined) return;
    const { epoch, fromChunk, cutFrom = fromChunk } = flush;
    this.#send('listener', this.#random(LATEST_FLUSH + 1), () => {
      for (const [chunk, job] of this.#chunks) if (chunk >= cutFrom && job.epoch < epoch) this.#chunks.delete(chunk);
      if (cutFrom < fromChunk) this.#cut = { from: cutFrom, until: fromChunk };
      if (silences && this.#call.isPaused) this.#silentFrom = cutFrom;
      if (this.#at.chunk < fromChunk || this.#at.epoch >= epoch) return;
      this.lateFlushes += 1;
      this.#at = { epoch, chunk: fromChunk, frame: -1 };
    });
  }

  #send(lane: string, frames: number, act: () => void): void {
    const last = this.#due.findLast((other) => other.lane === lane)?.at ?? 0;
    this.#due.push({ at: Math.max(last, this.#now + 1 + frames), lane, act });
  }

  #turn(turn: number): { turn: number; pcm: Int16Array; endOfTurn: boolean }[] {
    this.turns.set(turn, { sent: [], heard: [], cut: false });
    const length = 20 + this.#random(400);
    const pieces = [];
    for (let at = 0; at < length; ) {
      const size = Math.min(1 + this.#random(40), length - at);
      const pcm = Int16Array.from({ length: size }, (_, i) => turn * 1000 + at + i);
      at += size;
      pieces.push({ turn, pcm, endOfTurn: at === length });
    }
    return pieces;
  }
}

/** Small, fast and good enough for tests (mulberry32). */
export function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}
