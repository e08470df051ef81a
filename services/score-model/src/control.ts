import { MeshError } from '@talkmesh/contracts';
import type { Model, Place, RealTimeAdmission, ScoreEngine } from '@talkmesh/inference';
import {
  type OpenRequest,
  RollingPercentiles,
  type ServiceContext,
  type SessionStats,
  type WorkerHandlers,
} from '@talkmesh/service-kit';
import type { Config } from './config.js';
import { listen } from './inbound.js';
import type { ScoreMetrics } from './metrics.js';
import type { Outbound } from './outbound.js';
import type { ScoreStage } from './stage.js';

/** Chunks that may be rolled back beyond the lead: the one being played, and what is on its way. */
export const KEEP_BEYOND_LEAD = 3;

export interface ControlParts {
  readonly context: ServiceContext<Config>;
  readonly model: Model;
  readonly engine: ScoreEngine;
  readonly stage: ScoreStage;
  readonly outbound: Outbound;
  readonly metrics: ScoreMetrics;
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

  async open({ sessionId, epoch, score }: OpenRequest, signal: AbortSignal): Promise<void> {
    if (score === null || score === undefined)
      throw new MeshError('ARGUMENT_INVALID', 'score-model is opened with options "score"');
    if (!Number.isSafeInteger(score.seed))
      throw new MeshError('ARGUMENT_INVALID', 'a seed is an integer from 0 to 2^53-1');
    const place = this.#parts.admission.enter({ clockless: score.unpaced });
    try {
      await this.#open(sessionId, epoch, score, signal);
      this.#places.set(sessionId, place);
    } catch (error) {
      place.release();
      throw error;
    }
  }

  async #open(
    sessionId: string,
    epoch: number,
    score: NonNullable<OpenRequest['score']>,
    signal: AbortSignal,
  ): Promise<void> {
    const { context, engine, stage, model } = this.#parts;
    const { leadChunks, maxLeadChunks, speechGraceMs, flushMarginMs, speechQueueSeconds } = context.config;
    const keepChunks = maxLeadChunks + KEEP_BEYOND_LEAD;
    const maker = await engine.openSession({ avatar: score.avatar, seed: score.seed, keepChunks });
    if (signal.aborted) {
      maker.dispose();
      throw new MeshError('CANCELLED', 'the caller gave up while the session was opened');
    }
    const maxSpeechSamples = speechQueueSeconds * model.manifest.audio.sampleRateHz;
    const timing = { leadChunks, maxLeadChunks, speechGraceMs, flushMarginMs, maxSpeechSamples };
    stage.open({ sessionId, epoch, unpaced: score.unpaced, ...timing }, maker, new RollingPercentiles());
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
    const { context, stage, outbound, metrics } = this.#parts;
    let full = false;
    return listen(context.bus, sessionId, {
      onSpeech: (turn, pcm, endOfTurn) => {
        const { accepted, flush } = stage.speech(sessionId, turn, pcm, endOfTurn);
        if (flush !== undefined) outbound.flush(sessionId, flush);
        if (!accepted) metrics.speechRefused.inc();
        if (!accepted && !full) {
          const message = `more than ${context.config.speechQueueSeconds} s of speech wait (TALKMESH_SPEECH_QUEUE_SECONDS); the rest is refused`;
          outbound.error(sessionId, 0, new MeshError('RATE_LIMITED', message));
        }
        full = !accepted;
      },
      onPlayhead: (playhead) => stage.playhead(playhead),
      onInterrupt: (turn) => {
        const flush = stage.interrupt(sessionId, turn);
        if (flush !== undefined) outbound.flush(sessionId, flush);
      },
    });
  }
}
