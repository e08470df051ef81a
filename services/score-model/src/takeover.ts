import { MeshError } from '@talkmesh/contracts';
import type { ChunkCost, Model, ScoreEngine, ScoreSession } from '@talkmesh/inference';
import type { Counter, ServiceContext } from '@talkmesh/service-kit';
import type { Config } from './config.js';
import type { Recall } from './recall.js';
import { planResume, type ResumePlan, type Retained, replayDepth } from './resume.js';

export interface TakeoverParts {
  readonly context: ServiceContext<Config>;
  readonly model: Model;
  readonly engine: ScoreEngine;
  readonly cost: ChunkCost;
  readonly recall: Recall;
  readonly resumes: Counter;
}

export interface TakeoverRequest {
  readonly sessionId: string;
  readonly epoch: number;
  readonly avatar: string;
  readonly seed: number;
  readonly keepChunks: number;
}

export interface Takeover {
  readonly plan: ResumePlan;
  readonly retained: Retained;
  /** Makes the session's state again. */
  rebuild(signal: AbortSignal): Promise<ScoreSession>;
}

/** Reads what NATS retains of a session and decides where it goes on. Nothing retained is no failure: then from silence. */
export async function takeOver(parts: TakeoverParts, request: TakeoverRequest): Promise<Takeover> {
  const { context, model, cost, resumes } = parts;
  const { config, log } = context;
  const { sessionId, epoch, keepChunks } = request;
  const retained = await parts.recall.session(sessionId);
  const { dit, schedule } = model.manifest.score;
  const plan = planResume(retained, {
    epoch,
    keepChunks,
    chunkMs: model.geometry.chunkMs,
    steps: schedule.length,
    depth: replayDepth(dit.layers, schedule.length),
    affordable: Math.floor(config.replayBudgetMs / Math.max(1, cost.ms)),
    historySamples: model.manifest.audio.historySamples,
    marginMs: config.flushMarginMs,
    nowMs: Date.now(),
  });
  resumes.inc({ outcome: plan.outcome });
  const { chunk, spoken } = plan.position;
  const facts = { session_id: sessionId, outcome: plan.outcome, chunk, epoch: plan.epoch, replay: plan.replay.length };
  const kept = { latents: retained.latents.length, speech: retained.speech.length, events: retained.events.length };
  if (plan.outcome === 'silence')
    log.warn({ ...facts, spoken, kept }, 'NATS retains no chunk of this session: it goes on from silence');
  else log.info({ ...facts, spoken, kept }, 'session taken over');
  return { plan, retained, rebuild: (signal) => rebuild(parts, request, plan, signal) };
}

async function rebuild(
  { engine }: TakeoverParts,
  { avatar, seed, keepChunks }: TakeoverRequest,
  { position, replay, history }: ResumePlan,
  signal: AbortSignal,
): Promise<ScoreSession> {
  const chunk = replay[0]?.chunk ?? position.chunk;
  const before = Float32Array.from(history, (sample) => sample / 32768);
  const session = await engine.openSession({ avatar, seed, keepChunks, from: { chunk, history: before } });
  try {
    for (const latent of replay) {
      if (signal.aborted) throw new MeshError('CANCELLED', 'the caller gave up while the session was taken over');
      await session.generate(latent.chunk, latent.pcm, latent.steps);
    }
    return session;
  } catch (error) {
    session.dispose();
    throw error;
  }
}
