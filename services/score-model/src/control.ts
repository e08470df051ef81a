import { MeshError } from '@talkmesh/contracts';
import { type ChunkCost, type Model, type RealTimeAdmission, Residents, type ScoreEngine } from '@talkmesh/inference';
import {
  type Counter,
  type OpenRequest,
  RetainedReader,
  RollingPercentiles,
  type ServiceContext,
  type SessionStats,
  sessionStats,
  type WorkerHandlers,
} from '@talkmesh/service-kit';
import type { CallOptions } from './call.js';
import type { Config } from './config.js';
import type { ScoreMetrics } from './metrics.js';
import type { Outbound } from './outbound.js';
import { Recall } from './recall.js';
import { pauseAsked } from './resume.js';
import { SessionInlet } from './session-inlet.js';
import type { Refill } from './speech-feed.js';
import type { ScoreStage } from './stage.js';
import { takeOver } from './takeover.js';

/** Chunks that may be rolled back beyond the lead: the one being played, and what is on its way. */
export const KEEP_BEYOND_LEAD = 3;

/** A connection is dead for a while before that is noticed, milliseconds. */
const CONNECTION_SLACK_MS = 2000;

export interface ControlParts {
  readonly context: ServiceContext<Config>;
  readonly model: Model;
  readonly engine: ScoreEngine;
  readonly stage: ScoreStage;
  readonly outbound: Outbound;
  readonly metrics: ScoreMetrics;
  readonly admission: RealTimeAdmission;
  readonly cost: ChunkCost;
}

type ScoreOptions = NonNullable<OpenRequest['score']>;

export class Control implements WorkerHandlers {
  readonly capacity: number;
  readonly model: string;
  readonly #parts: ControlParts;
  readonly #inlets = new Map<string, SessionInlet>();
  readonly #recall: Recall;
  readonly #resumes: Counter;
  readonly #gaps: Counter;
  readonly #residents: Residents;

  constructor(parts: ControlParts) {
    this.#parts = parts;
    this.capacity = parts.context.config.capacity;
    this.model = parts.model.label;
    this.#residents = new Residents(parts.admission);
    const { metrics, bus, log, config } = parts.context;
    this.#recall = new Recall(bus, new RetainedReader(log, metrics), config.recallDeadlineMs);
    this.#resumes = metrics.counter('talkmesh_resumes_total', 'Sessions taken over from another worker', ['outcome']);
    this.#gaps = metrics.counter('talkmesh_speech_gaps_total', 'Gaps in the speech that came', ['outcome']);
    bus.onReconnect((awayMs) => {
      for (const sessionId of this.#inlets.keys()) void this.#catchUp(sessionId, awayMs);
    });
  }

  sessions(): number {
    return this.#parts.stage.sessions;
  }

  async open({ sessionId, epoch, score, resume }: OpenRequest, signal: AbortSignal): Promise<void> {
    if (score === null || score === undefined)
      throw new MeshError('ARGUMENT_INVALID', 'score-model is opened with options "score"');
    if (!Number.isSafeInteger(score.seed))
      throw new MeshError('ARGUMENT_INVALID', 'a seed is an integer from 0 to 2^53-1');
    await this.#residents.settle(sessionId, { clockless: score.unpaced }, () =>
      resume ? this.#resume(sessionId, epoch, score, signal) : this.#open(sessionId, epoch, score, signal),
    );
  }

  async #open(sessionId: string, epoch: number, score: ScoreOptions, signal: AbortSignal): Promise<void> {
    const { context, engine, stage, outbound } = this.#parts;
    const { avatar, seed } = score;
    const maker = await engine.openSession({ avatar, seed, keepChunks: this.#keepChunks });
    if (signal.aborted) {
      maker.dispose();
      throw new MeshError('CANCELLED', 'the caller gave up while the session was opened');
    }
    stage.open(this.#callOptions(sessionId, epoch, score), maker, new RollingPercentiles());
    outbound.open(sessionId);
    const inlet = this.#listen(sessionId);
    inlet.start();
    this.#inlets.set(sessionId, inlet);
    // Whoever opened the session may publish to it as soon as this returns.
    await context.bus.flush().catch((error: unknown) => {
      this.forget(sessionId);
      stage.close(sessionId);
      throw error;
    });
  }

  /** Listens first, so that nothing is missed between what was retained and what comes. */
  async #resume(sessionId: string, least: number, score: ScoreOptions, signal: AbortSignal): Promise<void> {
    const { context, stage, outbound } = this.#parts;
    const { avatar, seed } = score;
    const inlet = this.#listen(sessionId);
    try {
      await context.bus.flush();
      const request = { sessionId, epoch: least, avatar, seed, keepChunks: this.#keepChunks };
      const takeover = await takeOver({ ...this.#parts, recall: this.#recall, resumes: this.#resumes }, request);
      const { epoch, position, change } = takeover.plan;
      outbound.open(sessionId);
      // At once: a worker that only looked dead stops upon it.
      outbound.flush(sessionId, { epoch, turn: position.spoken.turn, fromChunk: position.chunk, cause: 'resume' });
      const maker = await takeover.rebuild(signal);
      stage.open({ ...this.#callOptions(sessionId, epoch, score), from: position }, maker, new RollingPercentiles());
      this.#inlets.set(sessionId, inlet);
      outbound.answer(sessionId, { epoch, ...(change !== undefined && { change }) });
      const speech = takeover.retained.speech.map(({ message }) => message);
      inlet.start(position.spoken, speech);
    } catch (error) {
      inlet.close();
      outbound.close(sessionId);
      throw error;
    }
  }

  async close(sessionId: string): Promise<void> {
    this.forget(sessionId);
    this.#parts.stage.close(sessionId);
  }

  stats(): SessionStats[] {
    return sessionStats(this.#parts.stage.stats());
  }

  forget(sessionId: string): void {
    this.#inlets.get(sessionId)?.close();
    this.#inlets.delete(sessionId);
    this.#parts.outbound.close(sessionId);
    this.#residents.leave(sessionId);
  }

  get #keepChunks(): number {
    return this.#parts.context.config.maxLeadChunks + KEEP_BEYOND_LEAD;
  }

  #callOptions(sessionId: string, epoch: number, { unpaced }: ScoreOptions): CallOptions {
    const { context, model } = this.#parts;
    const { leadChunks, maxLeadChunks, speechGraceMs, flushMarginMs, speechQueueSeconds } = context.config;
    const maxSpeechSamples = speechQueueSeconds * model.manifest.audio.sampleRateHz;
    const timing = { leadChunks, maxLeadChunks, speechGraceMs, flushMarginMs, maxSpeechSamples };
    return { sessionId, epoch, unpaced, ...timing };
  }

  #listen(sessionId: string): SessionInlet {
    const { context, stage, outbound } = this.#parts;
    return new SessionInlet(context.bus, sessionId, {
      onSpeech: this.#speechTaker(sessionId),
      onPlayhead: (playhead) => {
        stage.playhead(playhead);
        outbound.played(sessionId, playhead.chunk);
      },
      onInterrupt: (turn) => outbound.answer(sessionId, stage.interrupt(sessionId, turn)),
      onPause: (paused) => outbound.answer(sessionId, stage.pause(sessionId, paused)),
      onFlush: (epoch, instance) => this.#fence(sessionId, epoch, instance),
      onGap: (refill) => this.#told(sessionId, refill),
      recallSpeech: () => this.#recall.speech(sessionId),
    });
  }

  #speechTaker(sessionId: string) {
    const { context, stage, outbound, metrics } = this.#parts;
    let full = false;
    return (turn: number, pcm: Int16Array, endOfTurn: boolean, fromSample: number): void => {
      const { accepted, flush } = stage.speech(sessionId, turn, pcm, endOfTurn, fromSample);
      if (flush !== undefined) outbound.flush(sessionId, flush);
      if (!accepted) metrics.speechRefused.inc();
      if (!accepted && !full) {
        const message = `more than ${context.config.speechQueueSeconds} s of speech wait (TALKMESH_SPEECH_QUEUE_SECONDS); the rest is refused`;
        outbound.error(sessionId, 0, new MeshError('RATE_LIMITED', message));
      }
      full = !accepted;
    };
  }

  /** Somebody else took the session over: this worker was taken for dead. */
  #fence(sessionId: string, epoch: number, instance: string): void {
    const { context, stage } = this.#parts;
    const own = stage.stats().find((call) => call.sessionId === sessionId);
    if (own === undefined || instance === '' || instance === context.config.instanceId || epoch <= own.epoch) return;
    context.log.warn({ session_id: sessionId, epoch, instance }, 'another worker took this session over, it ends here');
    this.forget(sessionId);
    stage.close(sessionId);
  }

  /** NATS was away for this worker: what it published and what it should have heard may be missing. */
  async #catchUp(sessionId: string, awayMs: number): Promise<void> {
    const { outbound, stage } = this.#parts;
    const sinceMs = Date.now() - awayMs - CONNECTION_SLACK_MS;
    outbound.again(sessionId);
    const events = await this.#recall.events(sessionId);
    for (const { message, atMs } of events)
      if (message.type === 'interrupt' && atMs >= sinceMs) this.#inlets.get(sessionId)?.interrupt(message.turn);
    const paused = pauseAsked(events);
    if (paused !== undefined) outbound.answer(sessionId, stage.pause(sessionId, paused));
    const refill = await this.#inlets.get(sessionId)?.refill();
    if (refill !== undefined && (refill.lost > 0 || refill.refilled > 0)) this.#told(sessionId, refill);
  }

  #told(sessionId: string, { refilled, lost, error }: Refill): void {
    this.#gaps.inc({ outcome: lost > 0 ? 'lost' : 'refilled' });
    const facts = { session_id: sessionId, refilled, lost, err: error };
    if (lost > 0) this.#parts.context.log.warn(facts, 'speech was lost on the way and is not retained');
    else this.#parts.context.log.info(facts, 'speech that was lost on the way was read back');
  }
}
