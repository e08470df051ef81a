import { MeshError } from '@talkmesh/contracts';
import type { DecoderEngine, Model, Place, RealTimeAdmission } from '@talkmesh/inference';
import {
  type OpenRequest,
  RollingPercentiles,
  type ServiceContext,
  type SessionStats,
  type WorkerHandlers,
} from '@talkmesh/service-kit';
import type { Config } from './config.js';
import { listen } from './inbound.js';
import type { Outbound } from './outbound.js';
import type { DecodeStage } from './stage.js';

export interface ControlParts {
  readonly context: ServiceContext<Config>;
  readonly model: Model;
  readonly engine: DecoderEngine;
  readonly stage: DecodeStage;
  readonly outbound: Outbound;
  readonly admission: RealTimeAdmission;
}

export class Control implements WorkerHandlers {
  readonly capacity: number;
  readonly model: string;
  readonly #parts: ControlParts;
  readonly #listening = new Map<string, () => void>();
  readonly #places = new Map<string, Place>();

  constructor(parts: ControlParts) {
    this.#parts = parts;
    this.capacity = parts.context.config.capacity;
    this.model = parts.model.label;
  }

  sessions(): number {
    return this.#parts.stage.sessions;
  }

  async open({ sessionId, epoch, decode }: OpenRequest, signal: AbortSignal): Promise<void> {
    if (decode === null || decode === undefined)
      throw new MeshError('ARGUMENT_INVALID', 'vae-decode is opened with options "decode"');
    const place = this.#parts.admission.enter({ clockless: false });
    try {
      await this.#open(sessionId, epoch, decode, signal);
      this.#places.set(sessionId, place);
    } catch (error) {
      place.release();
      throw error;
    }
  }

  async #open(
    sessionId: string,
    epoch: number,
    decode: NonNullable<OpenRequest['decode']>,
    signal: AbortSignal,
  ): Promise<void> {
    const { context, engine, stage } = this.#parts;
    const { latentQueueChunks: queueChunks, keepChunks } = context.config;
    const decoder = await engine.openSession({ avatar: decode.avatar, keepChunks });
    if (signal.aborted) {
      decoder.dispose();
      throw new MeshError('CANCELLED', 'the caller gave up while the session was opened');
    }
    stage.open({ sessionId, epoch, queueChunks }, decoder, new RollingPercentiles());
    this.#listening.set(sessionId, this.#listen(sessionId));
    // Whoever opened the session may publish to it as soon as this returns.
    await context.bus.flush().catch((error: unknown) => {
      this.forget(sessionId);
      stage.close(sessionId);
      throw error;
    });
  }

  async close(sessionId: string): Promise<void> {
    this.forget(sessionId);
    this.#parts.stage.close(sessionId);
  }

  stats(): SessionStats[] {
    return this.#parts.stage.stats().map(({ durations, ...counts }) => ({
      ...counts,
      p50Ms: durations.p(0.5),
      p95Ms: durations.p(0.95),
    }));
  }

  forget(sessionId: string): void {
    this.#listening.get(sessionId)?.();
    this.#listening.delete(sessionId);
    this.#places.get(sessionId)?.release();
    this.#places.delete(sessionId);
  }

  #listen(sessionId: string): () => void {
    const { context, stage, outbound, model } = this.#parts;
    return listen(context.bus, sessionId, model.geometry, {
      onLatent: (message) => {
        const result = stage.latent(message);
        if (result !== 'queued') outbound.dropped(result === 'stale' ? 'flushed' : 'overflow', 1);
      },
      onFlush: (epoch, fromChunk) => outbound.dropped('flushed', stage.flush(sessionId, epoch, fromChunk)),
    });
  }
}
