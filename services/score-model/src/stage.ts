import type { ChunkGeometry, LatentMessage, PlayheadMessage } from '@talkmesh/contracts';
import {
  ChunkCost,
  CLOCKLESS_EVERY_CHUNKS,
  DegradeLadder,
  type DegradeReason,
  type GeneratedChunk,
  LADDER_DEFAULTS,
  NO_TIMELINE,
  nowUs,
  pickNext,
  type Ready,
  type Rung,
  type Timeline,
} from '@talkmesh/inference';
import { Call, type CallOptions, type Flush, type Job } from './call.js';
import type { Clock } from './clock.js';
import type { PauseChange } from './pause.js';
import { Remaking } from './remaking.js';

/** What makes chunks: one per session, see ScoreSession of the inference library. */
export interface ChunkMaker {
  /** @param maxSteps 0: the picture holds, what was heard moves on */
  generate(chunk: number, pcm: Int16Array, maxSteps?: number): Promise<GeneratedChunk | undefined>;
  rollback(fromChunk: number): void;
  dispose(): void;
}

/** Durations of one session's chunks, milliseconds; p(0.5) is the median, 0 while there are none. */
export interface Percentiles {
  add(ms: number): void;
  p(q: number): number;
}

export type ScoreOutput =
  | {
      readonly type: 'latent';
      readonly message: LatentMessage;
      readonly queueMs: number;
      readonly computeMs: number;
      readonly late: boolean;
      /** Why it took fewer steps, or none. */
      readonly degraded: DegradeReason | undefined;
    }
  /** A chunk was given up while it was made: flushed, or its session closed. */
  | { readonly type: 'discarded'; readonly sessionId: string }
  | { readonly type: 'failed'; readonly sessionId: string; readonly epoch: number; readonly error: unknown };

interface Counts {
  itemsIn: number;
  itemsOut: number;
  dropped: number;
  late: number;
}

/** What a request changed: chunks to be forgotten, a pause that began or ended. */
export interface Answer {
  readonly epoch: number;
  readonly flush?: Flush;
  readonly change?: PauseChange;
}

export interface CallStats extends Readonly<Counts> {
  readonly sessionId: string;
  readonly epoch: number;
  readonly chunk: number;
  readonly paused: boolean;
  readonly durations: Percentiles;
}

interface Entry {
  readonly call: Call;
  readonly maker: ChunkMaker;
  readonly counts: Counts;
  readonly durations: Percentiles;
  readonly ladder: DegradeLadder;
  making: number;
  playing: { readonly chunk: number; readonly sinceUs: number };
  /** When the chunk that comes next could have been begun. */
  readySinceMs: number | undefined;
  servedAtMs: number;
}

interface Candidate extends Ready {
  readonly entry: Entry;
}

export interface ScoreStageOptions {
  readonly geometry: ChunkGeometry;
  readonly steps: number;
  readonly clock: Clock;
  /** What chunks cost; shared with whoever admits sessions. */
  readonly cost?: ChunkCost;
  /** Chunks under way at once, of one session or of several: the stages of the model's pipeline. */
  readonly depth?: number;
  /** Time that decoder and egress need after a chunk was made, milliseconds. */
  readonly downstreamMs?: number;
  readonly timeline?: Timeline;
}

/**
 * Speech in, latent chunks out, for the sessions of one worker: the chunk due first, speech before idle when not all can be
 * in time. A chunk that is short of time takes fewer steps, then none: its picture holds while the sound goes on.
 */
export class ScoreStage {
  readonly #options: Required<ScoreStageOptions>;
  readonly #entries = new Map<string, Entry>();
  readonly #remaking: Remaking;
  #wake: () => void = () => undefined;

  constructor(options: ScoreStageOptions) {
    this.#options = { cost: new ChunkCost(0), depth: 1, downstreamMs: 0, timeline: NO_TIMELINE, ...options };
    const { chunkMs } = options.geometry;
    this.#remaking = new Remaking({ ...this.#options, chunkMs }, () => [...this.#entries.values()]);
  }

  get sessions(): number {
    return this.#entries.size;
  }

  open(options: CallOptions, maker: ChunkMaker, durations: Percentiles): void {
    const { geometry, clock, steps } = this.#options;
    const call = new Call(options, geometry, clock);
    call.canRemake = (chunk) => this.#remaking.allows(call, chunk);
    this.#entries.set(options.sessionId, {
      call,
      maker,
      counts: { itemsIn: 0, itemsOut: 0, dropped: 0, late: 0 },
      durations,
      ladder: new DegradeLadder({ steps, ...LADDER_DEFAULTS }),
      making: 0,
      playing: { chunk: 0, sinceUs: nowUs() },
      readySinceMs: undefined,
      servedAtMs: clock.nowMs(),
    });
    this.#wake();
  }

  close(sessionId: string): void {
    this.#entries.get(sessionId)?.maker.dispose();
    this.#entries.delete(sessionId);
    this.#wake();
  }

  speech(
    sessionId: string,
    turn: number,
    pcm: Int16Array,
    endOfTurn: boolean,
    fromSample?: number,
  ): { accepted: boolean; flush?: Flush } {
    const entry = this.#entries.get(sessionId);
    if (entry === undefined) return { accepted: true };
    entry.counts.itemsIn += 1;
    const { result, flush } = entry.call.onSpeech(turn, pcm, endOfTurn, fromSample);
    if (result === 'stale' || result === 'full') entry.counts.dropped += 1;
    if (flush !== undefined) entry.maker.rollback(flush.fromChunk);
    this.#wake();
    return { accepted: result !== 'full', ...(flush !== undefined && { flush }) };
  }

  /** @param turn the turn to cut; 0: whatever is being said */
  interrupt(sessionId: string, turn: number): Answer {
    return this.#answer(sessionId, (call) => call.onInterrupt(turn));
  }

  /** @param paused whether nothing is to be said; what holds already changes nothing */
  pause(sessionId: string, paused: boolean): Answer {
    return this.#answer(sessionId, (call) => (paused ? call.onPause() : call.onResume()));
  }

  #answer(sessionId: string, ask: (call: Call) => Omit<Answer, 'epoch'> | undefined): Answer {
    const entry = this.#entries.get(sessionId);
    if (entry === undefined) return { epoch: 0 };
    const { flush, change } = ask(entry.call) ?? {};
    if (flush !== undefined) entry.maker.rollback(flush.fromChunk);
    this.#wake();
    const { epoch } = entry.call;
    return { epoch, ...(flush !== undefined && { flush }), ...(change !== undefined && { change }) };
  }

  playhead(message: PlayheadMessage): void {
    const entry = this.#entries.get(message.sessionId);
    if (entry === undefined) return;
    entry.call.onPlayhead(message);
    if (message.chunk !== entry.playing.chunk) this.#played(entry, message.chunk);
    this.#wake();
  }

  /** The lane of what is played, as the egress tells it. */
  #played(entry: Entry, chunk: number): void {
    const { chunk: before, sinceUs } = entry.playing;
    const atUs = nowUs();
    entry.playing = { chunk, sinceUs: atUs };
    const { sessionId } = entry.call.options;
    this.#options.timeline.span('playhead', `play ${before}`, sinceUs, atUs, { sessionId, chunk: before });
  }

  stats(): CallStats[] {
    return [...this.#entries].map(([sessionId, { call, counts, durations }]) => ({
      sessionId,
      epoch: call.epoch,
      chunk: call.next,
      paused: call.paused,
      ...counts,
      durations,
    }));
  }

  async *run(signal: AbortSignal): AsyncGenerator<ScoreOutput> {
    signal.addEventListener('abort', () => this.#wake(), { once: true });
    const done: ScoreOutput[] = [];
    const making = new Set<Promise<void>>();
    while (!signal.aborted) {
      for (let output = done.shift(); output !== undefined; output = done.shift()) yield output;
      const changed = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      const { job, waitMs } = making.size < this.#options.depth ? this.#pick() : { waitMs: Number.POSITIVE_INFINITY };
      if (job === undefined) await this.#rest(changed, done.length > 0 ? 0 : waitMs);
      else {
        const made = job().then((output) => {
          done.push(output);
          making.delete(made);
          this.#wake();
        });
        making.add(made);
      }
    }
    await Promise.all(making);
    yield* done;
  }

  async step(): Promise<ScoreOutput | undefined> {
    return this.#pick().job?.();
  }

  #pick(): { job?: () => Promise<ScoreOutput>; waitMs: number } {
    const { clock, cost, depth, geometry } = this.#options;
    const nowMs = clock.nowMs();
    const ready: Candidate[] = [];
    let wakeAtMs = Number.POSITIVE_INFINITY;
    for (const entry of this.#entries.values()) {
      const readyAtMs = entry.making < depth ? entry.call.readyAtMs() : Number.POSITIVE_INFINITY;
      if (readyAtMs > nowMs) {
        entry.readySinceMs = undefined;
        wakeAtMs = Math.min(wakeAtMs, readyAtMs);
        continue;
      }
      entry.readySinceMs ??= nowMs;
      ready.push({
        entry,
        dueMs: this.#dueMs(entry, nowMs),
        speaking: entry.call.speaksNext,
        servedAtMs: entry.servedAtMs,
      });
    }
    const options = { clocklessEveryMs: CLOCKLESS_EVERY_CHUNKS * geometry.chunkMs };
    const chosen = pickNext(ready, nowMs, cost.ms / depth, options);
    if (chosen === undefined) return { waitMs: wakeAtMs - nowMs };
    return { job: () => this.#make(chosen.entry, this.#keptBackMs(ready, chosen, nowMs)), waitMs: 0 };
  }

  /** A call nobody watches yet has no clock, but its first picture is wanted: it is due one chunk after it was served. */
  #dueMs({ call, servedAtMs }: Entry, nowMs: number): number | undefined {
    const { geometry, clock, downstreamMs } = this.#options;
    if (call.options.unpaced) return undefined;
    const dueUs = call.position.dueUs(call.next);
    if (dueUs === 0) return servedAtMs + geometry.chunkMs;
    return nowMs + (dueUs - clock.wallUs()) / 1000 - downstreamMs;
  }

  /** What is left from now on when everybody else who speaks, in order, gets a chunk of one step; undefined: nobody does. */
  #keptBackMs(ready: readonly Candidate[], chosen: Candidate, nowMs: number): number | undefined {
    const { cost, depth, steps } = this.#options;
    const dues = ready
      .flatMap(({ entry, speaking, dueMs }) =>
        entry !== chosen.entry && speaking && dueMs !== undefined ? [dueMs] : [],
      )
      .sort((a, b) => a - b);
    const left = dues.map((dueMs, i) => dueMs - nowMs - ((i + 1) * cost.ms) / depth / steps);
    return left.length === 0 ? undefined : Math.min(...left);
  }

  async #make(entry: Entry, sharedMs: number | undefined): Promise<ScoreOutput> {
    const { clock, cost, steps } = this.#options;
    const startMs = clock.nowMs();
    const startUs = nowUs();
    const queueMs = startMs - (entry.readySinceMs ?? startMs);
    const job = entry.call.begin();
    entry.readySinceMs = undefined;
    entry.servedAtMs = startMs;
    entry.making += 1;
    const { sessionId } = entry.call.options;
    const rung = this.#rung(entry, job, sharedMs);
    this.#remaking.begun(rung.steps / steps);
    try {
      const made = await entry.maker.generate(job.chunk, job.pcm, rung.steps);
      if (made === undefined) {
        entry.counts.dropped += 1;
        return { type: 'discarded', sessionId };
      }
      const computeMs = clock.nowMs() - startMs;
      if (made.steps > 0) {
        cost.add(computeMs, made.steps / steps);
        this.#remaking.made(entry.call);
      }
      if (made.steps === steps) entry.durations.add(computeMs);
      const late = job.deadlineUs !== 0 && clock.wallUs() > job.deadlineUs;
      entry.counts.itemsOut += 1;
      if (late) entry.counts.late += 1;
      const { chunk, epoch, speaking } = job;
      this.#options.timeline.span('stage', `make ${chunk}`, startUs, nowUs(), {
        sessionId,
        chunk,
        epoch,
        speaking,
        late,
        steps: made.steps,
      });
      return {
        type: 'latent',
        message: this.#message(sessionId, job, made),
        queueMs,
        computeMs,
        late,
        degraded: rung.reason,
      };
    } catch (error) {
      if (this.#entries.get(sessionId) !== entry) return { type: 'discarded', sessionId };
      this.close(sessionId);
      return { type: 'failed', sessionId, epoch: job.epoch, error };
    } finally {
      entry.making -= 1;
    }
  }

  #rung(entry: Entry, { chunk, deadlineUs, speaking }: Job, sharedMs: number | undefined): Rung {
    const { clock, cost, downstreamMs } = this.#options;
    const clocked = deadlineUs !== 0;
    return entry.ladder.next({
      ownMs: clocked ? (deadlineUs - clock.wallUs()) / 1000 - downstreamMs : undefined,
      sharedMs: clocked ? sharedMs : undefined,
      costMs: cost.ms,
      speaking,
      mayHold: clocked && chunk > 0,
    });
  }

  #message(sessionId: string, job: Job, made: GeneratedChunk): LatentMessage {
    return {
      ...job,
      sessionId,
      mediaTimeUs: Math.round(job.chunk * this.#options.geometry.chunkMs * 1000),
      part: 0,
      parts: 1,
      values: made.values,
      steps: made.steps,
      degraded: made.steps < this.#options.steps,
      held: made.steps === 0,
    };
  }

  async #rest(changed: Promise<void>, waitMs: number): Promise<void> {
    const woken = new AbortController();
    await Promise.race([changed, this.#options.clock.sleep(waitMs, woken.signal)]);
    woken.abort();
  }
}
