import { MeshError } from '@talkmesh/contracts';
import {
  type DecoderEngine,
  type DecoderSession,
  type Model,
  type RealTimeAdmission,
  Residents,
} from '@talkmesh/inference';
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
import type { Config } from './config.js';
import { fits, SessionInlet } from './inbound.js';
import type { Outbound } from './outbound.js';
import { planResume, type ResumePlan, type Retained, unplayed } from './resume.js';
import type { DecodeStage } from './stage.js';

export interface ControlParts {
  readonly context: ServiceContext<Config>;
  readonly model: Model;
  readonly engine: DecoderEngine;
  readonly stage: DecodeStage;
  readonly outbound: Outbound;
  readonly admission: RealTimeAdmission;
}

type DecodeOptions = NonNullable<OpenRequest['decode']>;

export class Control implements WorkerHandlers {
  readonly capacity: number;
  readonly model: string;
  readonly #parts: ControlParts;
  readonly #inlets = new Map<string, SessionInlet>();
  readonly #reader: RetainedReader;
  readonly #resumes: Counter;
  readonly #residents: Residents;

  constructor(parts: ControlParts) {
    this.#parts = parts;
    this.capacity = parts.context.config.capacity;
    this.model = parts.model.label;
    this.#residents = new Residents(parts.admission);
    const { log, metrics, bus } = parts.context;
    this.#reader = new RetainedReader(log, metrics);
    this.#resumes = metrics.counter('talkmesh_resumes_total', 'Sessions taken over from another worker', ['outcome']);
    bus.onReconnect(() => {
      for (const sessionId of this.#inlets.keys()) void this.#catchUp(sessionId);
    });
  }

  sessions(): number {
    return this.#parts.stage.sessions;
  }

  async open({ sessionId, epoch, decode, resume }: OpenRequest, signal: AbortSignal): Promise<void> {
    if (decode === null || decode === undefined)
      throw new MeshError('ARGUMENT_INVALID', 'vae-decode is opened with options "decode"');
    await this.#residents.settle(sessionId, { clockless: false }, () =>
      resume ? this.#resume(sessionId, epoch, decode, signal) : this.#open(sessionId, epoch, decode, signal),
    );
  }

  async #open(sessionId: string, epoch: number, { avatar }: DecodeOptions, signal: AbortSignal): Promise<void> {
    const { context, engine, stage } = this.#parts;
    const { latentQueueChunks: queueChunks, keepChunks } = context.config;
    const decoder = await engine.openSession({ avatar, keepChunks });
    if (signal.aborted) {
      decoder.dispose();
      throw new MeshError('CANCELLED', 'the caller gave up while the session was opened');
    }
    stage.open({ sessionId, epoch, queueChunks }, decoder, new RollingPercentiles());
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
  async #resume(sessionId: string, least: number, { avatar }: DecodeOptions, signal: AbortSignal): Promise<void> {
    const { context, engine, stage } = this.#parts;
    const { latentQueueChunks: queueChunks, keepChunks } = context.config;
    const inlet = this.#listen(sessionId);
    let decoder: DecoderSession | undefined;
    try {
      await context.bus.flush();
      const recalled = this.#recall(sessionId);
      decoder = await engine.openSession({ avatar, keepChunks });
      const plan = planResume(await recalled, least);
      if (plan.before !== undefined) await decoder.decode(plan.before.chunk, plan.before.values);
      if (signal.aborted) throw new MeshError('CANCELLED', 'the caller gave up while the session was taken over');
      stage.open({ sessionId, epoch: plan.epoch, queueChunks }, decoder, new RollingPercentiles());
      for (const chunk of plan.chunks) stage.latent(chunk);
      if (plan.flush !== undefined) stage.flush(sessionId, plan.flush.epoch, plan.flush.fromChunk);
      this.#inlets.set(sessionId, inlet);
      inlet.start();
      this.#told(sessionId, plan);
    } catch (error) {
      inlet.close();
      decoder?.dispose();
      throw error;
    }
  }

  /** NATS was away for this worker or for the egress: latents may have been missed, and frames may not have arrived. */
  async #catchUp(sessionId: string): Promise<void> {
    const { stage } = this.#parts;
    stage.expectAgain(sessionId);
    stage.again(unplayed(await this.#recall(sessionId)));
  }

  async #recall(sessionId: string): Promise<Retained> {
    const { context, model } = this.#parts;
    const { bus, config } = context;
    const within = { deadlineMs: config.recallDeadlineMs };
    const [latents, events, playhead] = await Promise.all([
      this.#reader.latents(sessionId, bus.recall('latent', sessionId, within)),
      this.#reader.events(sessionId, bus.recall('event', sessionId, within)),
      this.#reader.playhead(sessionId, bus.recall('playhead', sessionId, within)),
    ]);
    return {
      latents: latents.filter((message) => fits(message, sessionId, model.geometry)),
      events: events.map(({ message }) => message),
      playhead: playhead?.message,
    };
  }

  #told(sessionId: string, { outcome, chunks, before }: ResumePlan): void {
    this.#resumes.inc({ outcome });
    const { log } = this.#parts.context;
    const facts = {
      session_id: sessionId,
      outcome,
      before: before?.chunk,
      chunk: chunks[0]?.chunk,
      again: chunks.length,
    };
    if (outcome === 'silence') log.warn(facts, 'NATS retains no chunk of this session: it goes on with the next one');
    else log.info(facts, 'session taken over');
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
    this.#residents.leave(sessionId);
  }

  #listen(sessionId: string): SessionInlet {
    const { context, stage, outbound, model } = this.#parts;
    return new SessionInlet(context.bus, sessionId, model.geometry, {
      onLatent: (message) => {
        const result = stage.latent(message);
        if (result === 'stale') outbound.dropped('flushed', 1);
        else if (result !== 'queued') outbound.dropped(result, 1);
      },
      onFlush: (epoch, fromChunk) => outbound.dropped('flushed', stage.flush(sessionId, epoch, fromChunk)),
      onMissed: () => void this.#catchUp(sessionId),
    });
  }
}
