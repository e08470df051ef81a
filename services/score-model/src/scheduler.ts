import {
  ChunkCost,
  CLOCKLESS_EVERY_CHUNKS,
  type Clock,
  DegradeLadder,
  type DegradeReason,
  type Durations,
  LADDER_DEFAULTS,
  largest,
  pickNext,
  type Ready,
  type Rung,
  sharedSlackMs,
} from '@talkmesh/chunk-worker';
import type { ChunkGeometry, LatentMessage, PlayheadMessage, Quality } from '@talkmesh/contracts';
import { type GeneratedChunk, NO_TIMELINE, type Timeline } from '@talkmesh/inference';
import { ChunkPlanner, type Flush, type PlannedChunk, type SessionOptions } from './chunk-planner.js';
import type { PauseChange, PauseRequest } from './pause.js';
import { RegenerationCheck } from './regeneration-check.js';
import type { SessionTier } from './session-tier.js';

/** Generates the chunks of one session: a ScoreSession of the inference library. */
export interface ChunkGenerator {
  /** @param maxSteps 0: the previous frame is held, and the audio history advances */
  generate(chunk: number, pcm: Int16Array, maxSteps?: number): Promise<GeneratedChunk | undefined>;
  rollback(fromChunk: number): void;
  dispose(): void;
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
  /** A chunk was flushed, or its session closed, before it was done. */
  | { readonly type: 'discarded'; readonly sessionId: string }
  | { readonly type: 'failed'; readonly sessionId: string; readonly epoch: number; readonly error: unknown };

interface Counts {
  itemsIn: number;
  itemsOut: number;
  dropped: number;
  late: number;
}

/** What a command changed: flushed chunks, a pause that began or ended. */
export interface CommandResult {
  readonly epoch: number;
  readonly flush?: Flush;
  readonly change?: PauseChange;
}

export interface SessionFigures extends Readonly<Counts> {
  readonly sessionId: string;
  readonly epoch: number;
  readonly chunk: number;
  readonly paused: boolean;
  readonly quality: Quality;
  readonly durations: Durations;
}

interface Entry {
  readonly planner: ChunkPlanner;
  readonly generator: ChunkGenerator;
  readonly counts: Counts;
  readonly durations: Durations;
  readonly ladder: DegradeLadder;
  readonly tier: SessionTier;
  chunksUnderWay: number;
  playing: { readonly chunk: number; readonly sinceUs: number } | undefined;
  /** When the next chunk became ready. */
  readySinceMs: number | undefined;
  servedAtMs: number;
}

/** A chunk that begins at the last moment would lose a step to the smallest lateness. */
const WITH_SLACK = 1.25;

interface Candidate extends Ready {
  readonly entry: Entry;
}

export interface ScoreSchedulerOptions {
  readonly geometry: ChunkGeometry;
  /** Steps of a chunk of `balanced`. */
  readonly steps: number;
  /** Passes of the network for a chunk besides its steps. */
  readonly extraPasses?: number;
  readonly clock: Clock;
  /** Cost of a chunk; shared with the admission control. */
  readonly cost?: ChunkCost;
  /** Chunks generated at the same time, of one session or several: the depth of the model's pipeline. */
  readonly depth?: number;
  /** How many of them can be of one session. Default: all. */
  readonly sessionDepth?: number;
  /** Time that decoder and egress need after a chunk was generated, milliseconds. */
  readonly downstreamMs?: number;
  readonly timeline?: Timeline;
}

/**
 * Generates latent chunks from speech for the sessions of one worker: earliest deadline first, speech before idle when not all can be
 * in time. A chunk that is short of time takes fewer steps, then none: the previous frame is held while the sound continues.
 */
export class ScoreScheduler {
  readonly #options: Required<ScoreSchedulerOptions>;
  readonly #entries = new Map<string, Entry>();
  readonly #regeneration: RegenerationCheck;
  #wake: () => void = () => undefined;

  constructor(options: ScoreSchedulerOptions) {
    this.#options = {
      cost: new ChunkCost(0),
      extraPasses: 0,
      depth: 1,
      sessionDepth: options.depth ?? 1,
      downstreamMs: 0,
      timeline: NO_TIMELINE,
      ...options,
    };
    const { chunkMs } = options.geometry;
    this.#regeneration = new RegenerationCheck({ ...this.#options, chunkMs }, () => [...this.#entries.values()]);
  }

  get sessions(): number {
    return this.#entries.size;
  }

  /** Samples of speech of all sessions that no chunk has taken yet. */
  get waitingSamples(): number {
    return [...this.#entries.values()].reduce((sum, { planner }) => sum + planner.waitingSamples, 0);
  }

  open(options: SessionOptions, generator: ChunkGenerator, durations: Durations, wanted?: SessionTier): void {
    const { geometry, clock, cost, extraPasses, steps: balanced } = this.#options;
    const tier = wanted ?? { name: 'balanced', steps: balanced, cost: 1 };
    const { steps } = tier;
    const planner: ChunkPlanner = new ChunkPlanner(options, geometry, clock, {
      canRegenerate: (chunk) => this.#regeneration.canRegenerate(planner, chunk),
      makeMs: () => cost.ms * tier.cost * WITH_SLACK + this.#options.downstreamMs,
    });
    this.#entries.set(options.sessionId, {
      planner,
      generator,
      counts: { itemsIn: 0, itemsOut: 0, dropped: 0, late: 0 },
      durations,
      tier,
      ladder: new DegradeLadder({ steps, extraPasses, ...LADDER_DEFAULTS }),
      chunksUnderWay: 0,
      playing: undefined,
      readySinceMs: undefined,
      servedAtMs: clock.nowMs(),
    });
    this.#wake();
  }

  close(sessionId: string): void {
    this.#entries.get(sessionId)?.generator.dispose();
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
    const { result, flush } = entry.planner.onSpeech(turn, pcm, endOfTurn, fromSample);
    if (result === 'stale' || result === 'full') entry.counts.dropped += 1;
    if (flush !== undefined) entry.generator.rollback(flush.fromChunk);
    this.#wake();
    return { accepted: result !== 'full', ...(flush !== undefined && { flush }) };
  }

  /** @param turn the turn to cut; 0: all turns */
  interrupt(sessionId: string, turn: number): CommandResult {
    return this.#command(sessionId, (planner) => planner.onInterrupt(turn));
  }

  /** Pauses or resumes. */
  pause(sessionId: string, request: PauseRequest): CommandResult {
    return this.#command(sessionId, (planner) =>
      request.type === 'pause' ? planner.onPause(request.cause) : planner.onResume(request.cause),
    );
  }

  #command(sessionId: string, ask: (planner: ChunkPlanner) => Omit<CommandResult, 'epoch'> | undefined): CommandResult {
    const entry = this.#entries.get(sessionId);
    if (entry === undefined) return { epoch: 0 };
    const { flush, change } = ask(entry.planner) ?? {};
    if (flush !== undefined) entry.generator.rollback(flush.fromChunk);
    this.#wake();
    const { epoch } = entry.planner;
    return { epoch, ...(flush !== undefined && { flush }), ...(change !== undefined && { change }) };
  }

  playhead(message: PlayheadMessage): void {
    const entry = this.#entries.get(message.sessionId);
    if (entry === undefined) return;
    entry.planner.onPlayhead(message);
    if (message.chunk !== entry.playing?.chunk) this.#played(entry, message.chunk);
    this.#wake();
  }

  /** Traces what the egress plays. */
  #played(entry: Entry, chunk: number): void {
    const before = entry.playing;
    const atUs = this.#options.clock.traceUs();
    entry.playing = { chunk, sinceUs: atUs };
    if (before === undefined) return;
    const { sessionId } = entry.planner.options;
    const details = { sessionId, chunk: before.chunk };
    this.#options.timeline.span('playhead', `play ${before.chunk}`, before.sinceUs, atUs, details);
  }

  stats(): SessionFigures[] {
    return [...this.#entries].map(([sessionId, { planner, counts, durations, tier }]) => ({
      sessionId,
      epoch: planner.epoch,
      chunk: planner.next,
      paused: planner.isPaused,
      quality: tier.name,
      ...counts,
      durations,
    }));
  }

  async *run(signal: AbortSignal): AsyncGenerator<ScoreOutput> {
    signal.addEventListener('abort', () => this.#wake(), { once: true });
    const done: ScoreOutput[] = [];
    const generating = new Set<Promise<void>>();
    while (!signal.aborted) {
      for (let output = done.shift(); output !== undefined; output = done.shift()) yield output;
      const changed = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      const { job, waitMs } =
        generating.size < this.#options.depth ? this.#pick() : { waitMs: Number.POSITIVE_INFINITY };
      if (job === undefined) await this.#wait(changed, done.length > 0 ? 0 : waitMs);
      else {
        const generated = job().then((output) => {
          done.push(output);
          generating.delete(generated);
          this.#wake();
        });
        generating.add(generated);
      }
    }
    await Promise.all(generating);
    yield* done;
  }

  /** One chunk, for tests that count them. @returns undefined when nothing is due */
  async step(): Promise<ScoreOutput | undefined> {
    return this.#pick().job?.();
  }

  #pick(): { job?: () => Promise<ScoreOutput>; waitMs: number } {
    const { clock, cost, depth, sessionDepth, geometry } = this.#options;
    const nowMs = clock.nowMs();
    const ready: Candidate[] = [];
    let wakeAtMs = Number.POSITIVE_INFINITY;
    for (const entry of this.#entries.values()) {
      const isFull = entry.chunksUnderWay >= sessionDepth;
      if (!isFull) entry.planner.updateGrace();
      const readyAtMs = isFull ? Number.POSITIVE_INFINITY : entry.planner.readyAtMs();
      if (readyAtMs > nowMs) {
        entry.readySinceMs = undefined;
        wakeAtMs = Math.min(wakeAtMs, readyAtMs);
        continue;
      }
      entry.readySinceMs ??= nowMs;
      ready.push({
        entry,
        dueMs: this.#dueMs(entry, nowMs),
        speaking: entry.planner.isNextSpeech,
        servedAtMs: entry.servedAtMs,
      });
    }
    const options = { clocklessEveryMs: CLOCKLESS_EVERY_CHUNKS * geometry.chunkMs };
    const costMs = largest(ready, ({ entry }) => this.#share(entry, entry.tier.steps)) * (cost.ms / depth);
    const chosen = pickNext(ready, nowMs, costMs, options);
    if (chosen === undefined) return { waitMs: wakeAtMs - nowMs };
    const leastMs = largest(ready, ({ entry }) => this.#share(entry, 1)) * (cost.ms / depth);
    const sharedMs = sharedSlackMs(ready, chosen, nowMs, leastMs);
    return { job: () => this.#generate(chosen.entry, sharedMs), waitMs: 0 };
  }

  /** Undefined for a recording. Without a running player a chunk is due one chunk after the session was last served, so that calls start soon. */
  #dueMs({ planner, servedAtMs }: Entry, nowMs: number): number | undefined {
    const { geometry, clock, downstreamMs } = this.#options;
    if (planner.options.unpaced) return undefined;
    const dueUs = planner.position.dueUs(planner.next);
    if (dueUs === 0) return servedAtMs + geometry.chunkMs;
    return nowMs + (dueUs - clock.wallUs()) / 1000 - downstreamMs;
  }

  async #generate(entry: Entry, sharedMs: number | undefined): Promise<ScoreOutput> {
    const { clock, cost } = this.#options;
    const startMs = clock.nowMs();
    const startUs = clock.traceUs();
    const queueMs = startMs - (entry.readySinceMs ?? startMs);
    const planned = entry.planner.takeNext();
    entry.readySinceMs = undefined;
    entry.servedAtMs = startMs;
    entry.chunksUnderWay += 1;
    const { sessionId } = entry.planner.options;
    const rung = this.#rung(entry, planned, sharedMs);
    this.#regeneration.onGenerationStart(this.#share(entry, rung.steps));
    try {
      const made = await entry.generator.generate(planned.chunk, planned.pcm, rung.steps);
      if (made === undefined) {
        entry.counts.dropped += 1;
        return { type: 'discarded', sessionId };
      }
      const computeMs = clock.nowMs() - startMs;
      if (made.steps > 0) {
        cost.add(computeMs, this.#share(entry, made.steps));
        this.#regeneration.onGenerated(entry.planner);
      }
      if (made.steps === entry.tier.steps) entry.durations.add(computeMs);
      const late = planned.deadlineUs !== 0 && clock.wallUs() > planned.deadlineUs;
      entry.counts.itemsOut += 1;
      if (late) entry.counts.late += 1;
      const { chunk, epoch, speaking } = planned;
      this.#options.timeline.span('stage', `generate ${chunk}`, startUs, clock.traceUs(), {
        sessionId,
        chunk,
        epoch,
        speaking,
        late,
        steps: made.steps,
      });
      return {
        type: 'latent',
        message: this.#message(entry, planned, made),
        queueMs,
        computeMs,
        late,
        degraded: rung.reason,
      };
    } catch (error) {
      if (this.#entries.get(sessionId) !== entry) return { type: 'discarded', sessionId };
      this.close(sessionId);
      return { type: 'failed', sessionId, epoch: planned.epoch, error };
    } finally {
      entry.chunksUnderWay -= 1;
    }
  }

  /** The work of these steps, as a multiple of a whole chunk of `balanced`. */
  #share({ tier }: Entry, taken: number): number {
    const { extraPasses } = this.#options;
    return taken === 0 ? 0 : (tier.cost * (taken + extraPasses)) / (tier.steps + extraPasses);
  }

  #rung(entry: Entry, { chunk, deadlineUs, speaking }: PlannedChunk, sharedMs: number | undefined): Rung {
    const { clock, cost, downstreamMs } = this.#options;
    const clocked = deadlineUs !== 0;
    return entry.ladder.next({
      ownMs: clocked ? (deadlineUs - clock.wallUs()) / 1000 - downstreamMs : undefined,
      sharedMs: clocked ? sharedMs : undefined,
      costMs: cost.ms * entry.tier.cost,
      speaking,
      mayHold: clocked && chunk > 0,
    });
  }

  #message({ planner, tier }: Entry, planned: PlannedChunk, made: GeneratedChunk): LatentMessage {
    return {
      ...planned,
      sessionId: planner.options.sessionId,
      mediaTimeUs: Math.round(planned.chunk * this.#options.geometry.chunkMs * 1000),
      part: 0,
      parts: 1,
      values: made.values,
      steps: made.steps,
      degraded: made.steps < tier.steps,
      held: made.steps === 0,
    };
  }

  async #wait(changed: Promise<void>, waitMs: number): Promise<void> {
    const woken = new AbortController();
    await Promise.race([changed, this.#options.clock.sleep(waitMs, woken.signal)]);
    woken.abort();
  }
}
