import {
  assertStillWanted,
  type ChunkCost,
  type ChunkSessions,
  confirmSubscriptions,
  openWanted,
  type RealTimeAdmission,
  RetainedReader,
  SessionTable,
  takeoverCounter,
} from '@talkmesh/chunk-worker';
import { type PictureSize, pictureSize } from '@talkmesh/contracts';
import type { DecoderEngine, DecoderSession, Model } from '@talkmesh/inference';
import { type Counter, type OpenRequest, RollingPercentiles, type ServiceContext } from '@talkmesh/service-kit';
import type { Config } from './config.js';
import { SessionInlet } from './inbound.js';
import type { MouthMetrics } from './mouth-metrics.js';
import type { Outbound } from './outbound.js';
import { RetainedSession } from './retained-session.js';
import type { DecodeScheduler, SessionFigures } from './scheduler.js';
import { planTakeover, type TakeoverPlan, unplayed } from './takeover-plan.js';

export interface SessionsParts {
  readonly context: ServiceContext<Config>;
  readonly model: Model;
  readonly engine: DecoderEngine;
  readonly scheduler: DecodeScheduler;
  readonly outbound: Outbound;
  readonly admission: RealTimeAdmission;
  readonly cost: ChunkCost;
  /** Undefined for a model whose latents cannot be read. */
  readonly mouths: MouthMetrics | undefined;
}

/** A session's picture: an avatar at one of the model's sizes. */
interface Picture {
  readonly avatar: string;
  readonly size: PictureSize;
}

/** Life cycle of this worker's sessions: what a session receives goes to the scheduler, what it drops to the outbound. */
export class Sessions implements ChunkSessions {
  readonly #parts: SessionsParts;
  readonly #table: SessionTable<SessionInlet>;
  readonly #retained: RetainedSession;
  readonly #takeovers: Counter;

  constructor(parts: SessionsParts) {
    this.#parts = parts;
    const { metrics, bus, log, config } = parts.context;
    this.#table = new SessionTable(parts.admission, bus, (sessionId) => this.#recover(sessionId));
    const reader = new RetainedReader(log, metrics);
    const { outbound, model } = parts;
    this.#retained = new RetainedSession(bus, reader, config.readBackDeadlineMs, model.geometry, (message, trail) =>
      outbound.arrived(message, trail),
    );
    this.#takeovers = takeoverCounter(metrics);
  }

  get count(): number {
    return this.#parts.scheduler.sessions;
  }

  /** @throws MeshError ARGUMENT_INVALID for a size that the model does not make, SESSION_LIMIT, CANCELLED */
  async open(
    { sessionId, epoch, takeOver }: OpenRequest,
    decode: NonNullable<OpenRequest['decode']>,
    signal: AbortSignal,
  ): Promise<void> {
    const size = pictureSize(this.#parts.model.manifest, decode.size);
    const picture = { avatar: decode.avatar, size };
    await this.#table.admit(sessionId, { clockless: false, cost: size.cost }, () =>
      takeOver ? this.#takeOver(sessionId, epoch, picture, signal) : this.#open(sessionId, epoch, picture, signal),
    );
  }

  async #open(sessionId: string, epoch: number, picture: Picture, signal: AbortSignal): Promise<void> {
    const { context, scheduler, mouths } = this.#parts;
    const { latentQueueChunks: queueChunks } = context.config;
    const decoder = await openWanted(this.#decoder(sessionId, picture), signal);
    const { size } = picture;
    scheduler.open(
      { sessionId, epoch, queueChunks, size, mouth: mouths?.session() },
      decoder,
      new RollingPercentiles(),
    );
    const inlet = this.#listen(sessionId);
    inlet.start();
    this.#table.add(sessionId, inlet);
    await confirmSubscriptions(context.bus, () => this.close(sessionId));
  }

  async #decoder(sessionId: string, { avatar, size: { scale, size } }: Picture): Promise<DecoderSession> {
    const { context, engine } = this.#parts;
    const decoder = await engine.openSession({ avatar, scale, keepChunks: context.config.keepChunks });
    context.log.info({ sessionId, decoder: decoder.kind, size }, 'the picture is prepared');
    return decoder;
  }

  /** Subscribes before it reads back, so that no message between the two is lost. */
  async #takeOver(sessionId: string, least: number, picture: Picture, signal: AbortSignal): Promise<void> {
    const { context, engine, scheduler, cost, mouths } = this.#parts;
    const { latentQueueChunks: queueChunks, replayBudgetMs } = context.config;
    const inlet = this.#listen(sessionId);
    let decoder: DecoderSession | undefined;
    try {
      await context.bus.flush();
      const retained = this.#retained.session(sessionId);
      decoder = await this.#decoder(sessionId, picture);
      const { size } = picture;
      const affordable = Math.floor(replayBudgetMs / Math.max(1, cost.ms * size.cost));
      const plan = planTakeover(await retained, { epoch: least, depth: engine.replayDepth, affordable });
      for (const { chunk, values } of plan.replay) {
        assertStillWanted(signal);
        await decoder.decode(chunk, values);
      }
      assertStillWanted(signal);
      const mouth = mouths?.session();
      const options = { sessionId, epoch: plan.epoch, queueChunks, size, mouth };
      scheduler.open(options, decoder, new RollingPercentiles());
      for (const chunk of plan.chunks) scheduler.latent(chunk);
      if (plan.flush !== undefined) scheduler.flush(sessionId, plan.flush.epoch, plan.flush.fromChunk);
      this.#table.add(sessionId, inlet);
      inlet.start();
      this.#reportTakeover(sessionId, plan);
    } catch (error) {
      inlet.close();
      decoder?.dispose();
      throw error;
    }
  }

  /** After this worker or the egress was disconnected from NATS: decodes unplayed chunks once more, also those it did not receive. */
  async #recover(sessionId: string): Promise<void> {
    const { scheduler } = this.#parts;
    scheduler.acceptRepeats(sessionId);
    scheduler.requeue(unplayed(await this.#retained.session(sessionId)));
  }

  #reportTakeover(sessionId: string, { outcome, chunks, replay }: TakeoverPlan): void {
    this.#takeovers.inc({ outcome });
    const { log } = this.#parts.context;
    const facts = {
      sessionId,
      outcome,
      replay: replay.length,
      chunk: chunks[0]?.chunk,
      redecoded: chunks.length,
    };
    if (outcome === 'silence') log.warn(facts, 'NATS retains no chunk of this session: it continues with the next one');
    else log.info(facts, 'session taken over');
  }

  close(sessionId: string): void {
    this.forget(sessionId);
    this.#parts.scheduler.close(sessionId);
  }

  stats(): SessionFigures[] {
    return this.#parts.scheduler.stats();
  }

  /** Stops listening and frees the session's place. */
  forget(sessionId: string): void {
    this.#table.remove(sessionId);
  }

  #listen(sessionId: string): SessionInlet {
    const { context, scheduler, outbound, model } = this.#parts;
    return new SessionInlet(context.bus, sessionId, model.geometry, {
      onLatent: (message, trail) => {
        outbound.arrived(message, trail);
        const result = scheduler.latent(message);
        if (result === 'stale') outbound.dropped('flushed', 1);
        else if (result !== 'queued') outbound.dropped(result, 1);
      },
      onFlush: (epoch, fromChunk) => outbound.dropped('flushed', scheduler.flush(sessionId, epoch, fromChunk)),
      onFramesMissed: () => void this.#recover(sessionId),
    });
  }
}
