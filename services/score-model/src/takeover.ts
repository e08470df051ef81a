import type { ChunkCost } from '@talkmesh/chunk-worker';
import { CHUNK_LENGTH_SETTING, MeshError, type QualityTier } from '@talkmesh/contracts';
import type { Model, ScoreEngine, ScoreSession } from '@talkmesh/inference';
import type { Counter, ServiceContext } from '@talkmesh/service-kit';
import type { Config } from './config.js';
import type { RetainedSession } from './retained-session.js';
import { planTakeover, type Retained, type TakeoverPlan } from './takeover-plan.js';

export interface TakeoverParts {
  readonly context: ServiceContext<Config>;
  readonly model: Model;
  readonly engine: ScoreEngine;
  readonly cost: ChunkCost;
  readonly retained: RetainedSession;
  readonly takeovers: Counter;
}

export interface TakeoverRequest {
  readonly sessionId: string;
  readonly epoch: number;
  readonly avatar: string;
  readonly seed: number;
  readonly keepChunks: number;
  readonly tier: QualityTier;
}

export interface Takeover {
  readonly plan: TakeoverPlan;
  readonly retained: Retained;
  /** Rebuilds the model state by replaying the retained chunks. */
  replay(signal: AbortSignal): Promise<ScoreSession>;
}

/**
 * Reads back what NATS retains of a session and plans where it continues. When nothing is retained it continues from silence.
 * @throws MeshError MODEL_INVALID when its chunks have another length
 */
export async function takeOver(parts: TakeoverParts, request: TakeoverRequest): Promise<Takeover> {
  const { context, model, engine, cost, takeovers } = parts;
  const { config, log } = context;
  const { sessionId, epoch, keepChunks, tier } = request;
  const replay = engine.replay(tier);
  const retained = await parts.retained.session(sessionId);
  const { samplesPerChunk } = model.geometry;
  const other = retained.latents.find(({ pcm }) => pcm.length !== samplesPerChunk);
  if (other !== undefined)
    throw new MeshError(
      'MODEL_INVALID',
      `the session has chunks of ${other.pcm.length} samples, and those of ${model.label} have ${samplesPerChunk}: give all services the same TALKMESH_MODEL and ${CHUNK_LENGTH_SETTING}`,
    );
  const plan = planTakeover(retained, {
    epoch,
    keepChunks,
    chunkMs: model.geometry.chunkMs,
    ...replay,
    affordable: Math.floor(config.replayBudgetMs / Math.max(1, cost.ms * tier.cost * replay.share)),
    historySamples: model.manifest.audio.historySamples,
    marginMs: config.flushMarginMs,
    nowMs: Date.now(),
  });
  takeovers.inc({ outcome: plan.outcome });
  const { chunk, spoken } = plan.position;
  const facts = { sessionId, outcome: plan.outcome, chunk, epoch: plan.epoch, replay: plan.replay.length };
  const kept = { latents: retained.latents.length, speech: retained.speech.length, events: retained.events.length };
  if (plan.outcome === 'silence')
    log.warn({ ...facts, spoken, kept }, 'NATS retains no chunk of this session: it continues from silence');
  else log.info({ ...facts, spoken, kept }, 'session taken over');
  return { plan, retained, replay: (signal) => rebuild(parts, request, plan, signal) };
}

async function rebuild(
  { engine }: TakeoverParts,
  { avatar, seed, keepChunks, tier }: TakeoverRequest,
  { position, replay, history }: TakeoverPlan,
  signal: AbortSignal,
): Promise<ScoreSession> {
  const chunk = replay[0]?.chunk ?? position.chunk;
  const before = Float32Array.from(history, (sample) => sample / 32768);
  const session = await engine.openSession({ avatar, seed, keepChunks, tier, from: { chunk, history: before } });
  try {
    for (const latent of replay) {
      if (signal.aborted) throw new MeshError('CANCELLED', 'the caller cancelled while the session was taken over');
      await session.restore(latent.chunk, latent);
    }
    return session;
  } catch (error) {
    session.dispose();
    throw error;
  }
}
