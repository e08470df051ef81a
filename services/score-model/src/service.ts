import { setTimeout as sleep } from 'node:timers/promises';
import {
  ChunkCost,
  createOrtExecutor,
  loadModel,
  type Model,
  openTimeline,
  parsePlan,
  parseProvider,
  RealTimeAdmission,
  realTimeLimits,
  ScoreEngine,
  sessionStateBytes,
  systemClock,
  warmUp,
} from '@talkmesh/inference';
import {
  createChunkMetrics,
  ownPictures,
  type RunningService,
  refusalCounter,
  runChunkWorker,
  type ServiceContext,
} from '@talkmesh/service-kit';
import type { Clock } from './clock.js';
import type { Config } from './config.js';
import { Control, KEEP_BEYOND_LEAD } from './control.js';
import { countRankRestarts, createScoreMetrics } from './metrics.js';
import { Outbound } from './outbound.js';
import { type ScoreOutput, ScoreStage } from './stage.js';

const clock: Clock = {
  ...systemClock,
  sleep: async (ms, signal) => {
    if (signal.aborted) return;
    const woken = new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    if (!Number.isFinite(ms)) await woken;
    else await sleep(ms, undefined, { signal }).catch(() => undefined);
  },
};

export async function startScoreModel(context: ServiceContext<Config>): Promise<RunningService> {
  const { config, log, bus } = context;
  const model = await loadModel(config.model, { ownPictures: ownPictures(bus) });
  const executor = createOrtExecutor({
    threads: config.inferenceThreads,
    provider: parseProvider(config.inferenceProvider),
  });
  try {
    const timeline = openTimeline(config.timeline, 'score-model');
    const { plan, devices } = parsePlan(config);
    const engine = await ScoreEngine.load(model, executor, {
      plan,
      devices,
      threads: config.inferenceThreads,
      timeline,
      onRestart: countRankRestarts(context.metrics, log),
    });
    const warmUpMs = await warm(engine);
    log.info({ model: model.label, warmUpMs, threads: config.inferenceThreads, ...plan }, 'model loaded');
    const cost = new ChunkCost(warmUpMs);
    const admission = admissionOf(context, model, cost);
    const chunkMetrics = createChunkMetrics(context.metrics, () => engine.stateBytes(), admission);
    const metrics = createScoreMetrics(context.metrics, chunkMetrics);
    const outbound = new Outbound(bus, metrics, log);
    const { downstreamMs } = config;
    const steps = model.manifest.score.schedule.length;
    const stage = new ScoreStage({
      geometry: model.geometry,
      steps,
      clock,
      cost,
      depth: engine.depth,
      downstreamMs,
      timeline,
    });
    const control = new Control({ context, model, engine, stage, outbound, metrics, admission, cost });
    const resources = [engine, executor];
    const parts = { stage, control, outbound, failed: engine.failed, timeline, resources };
    return { grpc: [], ...runChunkWorker<ScoreOutput>(parts) };
  } catch (error) {
    await executor[Symbol.asyncDispose]();
    throw error;
  }
}

function admissionOf({ config, metrics }: ServiceContext<Config>, model: Model, cost: ChunkCost): RealTimeAdmission {
  const keepChunks = config.maxLeadChunks + KEEP_BEYOND_LEAD;
  const stateBytes = sessionStateBytes(model.manifest, { keepChunks, plan: parsePlan(config).plan }).total;
  const limits = realTimeLimits(config, model.geometry.chunkMs, stateBytes);
  return new RealTimeAdmission(limits, () => cost.ms, refusalCounter(metrics));
}

async function warm(engine: ScoreEngine): Promise<number> {
  const { model } = engine;
  const avatar = model.manifest.avatars[0]?.id ?? '';
  const session = await engine.openSession({ avatar, seed: 0, keepChunks: 1 });
  const silence = new Int16Array(model.geometry.samplesPerChunk);
  const costMs = await warmUp((chunk) => session.generate(chunk, silence));
  session.dispose();
  return costMs;
}
