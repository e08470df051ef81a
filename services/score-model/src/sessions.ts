import {
  type ChunkCost,
  type ChunkSessions,
  confirmSubscriptions,
  openWanted,
  type RealTimeAdmission,
  RetainedReader,
  SessionTable,
  takeoverCounter,
} from '@talkmesh/chunk-worker';
import { MeshError, type QualityTier, qualityTier } from '@talkmesh/contracts';
import type { Model, ScoreEngine } from '@talkmesh/inference';
import { type Counter, type OpenRequest, RollingPercentiles, type ServiceContext } from '@talkmesh/service-kit';
import type { SessionOptions } from './chunk-planner.js';
import type { Config } from './config.js';
import type { ScoreMetrics } from './metrics.js';
import type { Outbound } from './outbound.js';
import { RetainedSession } from './retained-session.js';
import type { ScoreScheduler, SessionFigures } from './scheduler.js';
import { SessionInlet } from './session-inlet.js';
import { sessionTier } from './session-tier.js';
import type { GapReport } from './speech-gap-filler.js';
import { takeOver } from './takeover.js';
import { requestedPause } from './takeover-plan.js';

/** Chunks beyond the lead that may be rolled back: the one being played, and those under way. */
export const KEEP_BEYOND_LEAD = 3;

/** Time after which a dead connection is noticed at the latest, milliseconds. */
const CONNECTION_SLACK_MS = 2000;

export interface SessionsParts {
  readonly context: ServiceContext<Config>;
  readonly model: Model;
  readonly engine: ScoreEngine;
  readonly scheduler: ScoreScheduler;
  readonly outbound: Outbound;
  readonly metrics: ScoreMetrics;
  readonly admission: RealTimeAdmission;
  readonly cost: ChunkCost;
}

type ScoreOptions = NonNullable<OpenRequest['score']>;
type TieredOptions = ScoreOptions & { readonly tier: QualityTier };

/** Life cycle of this worker's sessions: what a session receives goes to the scheduler, what a request changes to the outbound. */
export class Sessions implements ChunkSessions {
  readonly #parts: SessionsParts;
  readonly #table: SessionTable<SessionInlet>;
  readonly #retained: RetainedSession;
  readonly #takeovers: Counter;
  readonly #gaps: Counter;

  constructor(parts: SessionsParts) {
    this.#parts = parts;
    const { metrics, bus, log, config } = parts.context;
    this.#table = new SessionTable(parts.admission, bus, (sessionId, awayMs) => this.#recover(sessionId, awayMs));
    const reader = new RetainedReader(log, metrics);
    this.#retained = new RetainedSession(bus, reader, config.readBackDeadlineMs, ({ sessionId, turn }, trail) =>
      parts.outbound.trail(sessionId, turn, trail),
    );
    this.#takeovers = takeoverCounter(metrics);
    this.#gaps = metrics.counter(
      'talkmesh_speech_gaps_total',
      'Gaps in received speech, by whether they could be read back',
      ['outcome'],
      { outcome: ['lost', 'read_back'] },
    );
  }

  get count(): number {
    return this.#parts.scheduler.sessions;
  }

  /** @throws MeshError ARGUMENT_INVALID for a quality that this worker cannot make, SESSION_LIMIT, CANCELLED */
  async open({ sessionId, epoch, takeOver }: OpenRequest, options: ScoreOptions, signal: AbortSignal): Promise<void> {
    const { model, engine } = this.#parts;
    const tier = qualityTier(model.manifest, options.quality);
    const score = { ...options, tier };
    const stateBytes = engine.sessionBytes(this.#keepChunks, tier);
    await this.#table.admit(sessionId, { clockless: score.unpaced, cost: tier.cost, stateBytes }, () =>
      takeOver ? this.#takeOver(sessionId, epoch, score, signal) : this.#open(sessionId, epoch, score, signal),
    );
  }

  async #open(sessionId: string, epoch: number, score: TieredOptions, signal: AbortSignal): Promise<void> {
    const { context, engine, scheduler, outbound } = this.#parts;
    const { avatar, seed, tier } = score;
    const opening = engine.openSession({ avatar, seed, keepChunks: this.#keepChunks, tier });
    const generator = await openWanted(opening, signal);
    const options = this.#sessionOptions(sessionId, epoch, score);
    scheduler.open(options, generator, new RollingPercentiles(), sessionTier(tier));
    outbound.open(sessionId);
    const inlet = this.#listen(sessionId);
    inlet.start();
    this.#table.add(sessionId, inlet);
    await confirmSubscriptions(context.bus, () => this.close(sessionId));
  }

  /** Subscribes before it reads back, so that no message between the two is lost. */
  async #takeOver(sessionId: string, least: number, score: TieredOptions, signal: AbortSignal): Promise<void> {
    const { context, scheduler, outbound } = this.#parts;
    const { avatar, seed, tier } = score;
    const inlet = this.#listen(sessionId);
    try {
      await context.bus.flush();
      const request = { sessionId, epoch: least, avatar, seed, tier, keepChunks: this.#keepChunks };
      const takeover = await takeOver(
        { ...this.#parts, retained: this.#retained, takeovers: this.#takeovers },
        request,
      );
      const { epoch, position, change } = takeover.plan;
      outbound.open(sessionId);
      // Published before the replay: if the previous worker is still alive, it stops at this flush.
      outbound.flush(sessionId, { epoch, turn: position.spoken.turn, fromChunk: position.chunk, cause: 'takeover' });
      const generator = await takeover.replay(signal);
      scheduler.open(
        { ...this.#sessionOptions(sessionId, epoch, score), from: position },
        generator,
        new RollingPercentiles(),
        sessionTier(tier),
      );
      this.#table.add(sessionId, inlet);
      outbound.commandResult(sessionId, { epoch, ...(change !== undefined && { change }) });
      const speech = takeover.retained.speech.map(({ message }) => message);
      inlet.start(position.spoken, speech);
    } catch (error) {
      inlet.close();
      outbound.close(sessionId);
      throw error;
    }
  }

  close(sessionId: string): void {
    this.forget(sessionId);
    this.#parts.scheduler.close(sessionId);
  }

  stats(): SessionFigures[] {
    return this.#parts.scheduler.stats();
  }

  /** Stops listening and publishing, and frees the session's place. */
  forget(sessionId: string): void {
    this.#table.remove(sessionId);
    this.#parts.outbound.close(sessionId);
  }

  get #keepChunks(): number {
    return this.#parts.context.config.maxLeadChunks + KEEP_BEYOND_LEAD;
  }

  #sessionOptions(sessionId: string, epoch: number, { unpaced }: ScoreOptions): SessionOptions {
    const { context, model } = this.#parts;
    const { leadChunks, maxLeadChunks, speechGraceMs, flushMarginMs, speechQueueSeconds } = context.config;
    const maxSpeechSamples = speechQueueSeconds * model.manifest.audio.sampleRateHz;
    const timing = { leadChunks, maxLeadChunks, speechGraceMs, flushMarginMs, maxSpeechSamples };
    return { sessionId, epoch, unpaced, ...timing };
  }

  #listen(sessionId: string): SessionInlet {
    const { context, scheduler, outbound } = this.#parts;
    return new SessionInlet(context.bus, sessionId, {
      onSpeech: this.#speechHandler(sessionId),
      onTrail: (turn, trail) => outbound.trail(sessionId, turn, trail),
      onPlayhead: (playhead) => {
        scheduler.playhead(playhead);
        outbound.played(sessionId, playhead.chunk);
      },
      onInterrupt: (turn) => outbound.commandResult(sessionId, scheduler.interrupt(sessionId, turn)),
      onPause: (request) => outbound.commandResult(sessionId, scheduler.pause(sessionId, request)),
      onFlush: (epoch, instance) => this.#fence(sessionId, epoch, instance),
      onGap: (gap) => this.#reportGap(sessionId, gap),
      readBackSpeech: () => this.#retained.speech(sessionId),
    });
  }

  #speechHandler(sessionId: string) {
    const { context, scheduler, outbound, metrics } = this.#parts;
    let full = false;
    return (turn: number, pcm: Int16Array, endOfTurn: boolean, fromSample: number): void => {
      const { accepted, flush } = scheduler.speech(sessionId, turn, pcm, endOfTurn, fromSample);
      if (flush !== undefined) outbound.flush(sessionId, flush);
      if (!accepted) metrics.speechRefused.inc();
      if (!accepted && !full) {
        const message = `more than ${context.config.speechQueueSeconds} s of speech are queued (TALKMESH_SPEECH_QUEUE_SECONDS), further speech is refused; send it more slowly`;
        outbound.error(sessionId, 0, new MeshError('RATE_LIMITED', message));
      }
      full = !accepted;
    };
  }

  /** Fencing: another worker took the session over because this one seemed dead, so this one ends it. */
  #fence(sessionId: string, epoch: number, instance: string): void {
    const { context, scheduler } = this.#parts;
    const own = scheduler.stats().find((figures) => figures.sessionId === sessionId);
    if (own === undefined || instance === '' || instance === context.config.instanceId || epoch <= own.epoch) return;
    context.log.warn({ sessionId, epoch, instance }, 'another worker took this session over; it ends on this worker');
    this.close(sessionId);
  }

  /** After this worker was disconnected from NATS: republishes unplayed chunks and reads back what it did not receive. */
  async #recover(sessionId: string, awayMs: number): Promise<void> {
    const { outbound, scheduler } = this.#parts;
    const sinceMs = Date.now() - awayMs - CONNECTION_SLACK_MS;
    outbound.republishUnplayed(sessionId);
    const events = await this.#retained.events(sessionId);
    for (const { message, atMs } of events)
      if (message.type === 'interrupt' && atMs >= sinceMs) this.#table.inlet(sessionId)?.interrupt(message.turn);
    const request = requestedPause(events);
    if (request !== undefined) outbound.commandResult(sessionId, scheduler.pause(sessionId, request));
    const gap = await this.#table.inlet(sessionId)?.fillGaps();
    if (gap !== undefined && (gap.lost > 0 || gap.readBack > 0)) this.#reportGap(sessionId, gap);
  }

  #reportGap(sessionId: string, { readBack, lost, error }: GapReport): void {
    this.#gaps.inc({ outcome: lost > 0 ? 'lost' : 'read_back' });
    const facts = { sessionId, readBack, lost, err: error };
    if (lost > 0) this.#parts.context.log.warn(facts, 'speech was lost and is not retained');
    else this.#parts.context.log.info(facts, 'lost speech was read back');
  }
}
