import {
  admissionOf,
  ChunkCost,
  createChunkMetrics,
  runChunkWorker,
  startOnModel,
  systemClock,
  warmUp,
} from '@talkmesh/chunk-worker';
import { loadScoreEngine, parsePlan, type ScoreEngine } from '@talkmesh/inference';
import { type RunningService, readGauge, type ServiceContext } from '@talkmesh/service-kit';
import { type Config, downstreamOf } from './config.js';
import { controlHandlers } from './control.js';
import { createScoreMetrics, openSessionsGauge, rankMetrics } from './metrics.js';
import { Outbound } from './outbound.js';
import { type ScoreOutput, ScoreScheduler } from './scheduler.js';
import { KEEP_BEYOND_LEAD, Sessions } from './sessions.js';

export async function startScoreModel(context: ServiceContext<Config>): Promise<RunningService> {
  const { config, log, bus } = context;
  return startOnModel(context, async (model, executor, timeline) => {
    const { plan, ...ranks } = parsePlan(config);
    const engine = await loadScoreEngine(model, executor, {
      plan,
      ...ranks,
      threads: config.inferenceThreads,
      timeline,
      ...rankMetrics(context.metrics, log),
    });
    const warmUpMs = await warm(engine);
    const { provider, onProcessor } = executor;
    const { inferenceThreads: threads } = config;
    log.info({ model: model.label, warmUpMs, threads, provider, onProcessor, ...plan }, 'model loaded');
    const cost = new ChunkCost(warmUpMs);
    const keepChunks = config.maxLeadChunks + KEEP_BEYOND_LEAD;
    const downstreamMs = downstreamOf(config, model.geometry.chunkMs);
    const settings = { config: { ...config, downstreamMs }, metrics: context.metrics };
    const admission = admissionOf(settings, model, engine.sessionBytes(keepChunks), cost);
    const chunkMetrics = createChunkMetrics(context.metrics, () => engine.stateBytes(), admission);
    const metrics = createScoreMetrics(context.metrics, chunkMetrics);
    const outbound = new Outbound(bus, metrics, log);
    const steps = model.manifest.score.schedule.length;
    const scheduler = new ScoreScheduler({
      geometry: model.geometry,
      steps,
      extraPasses: engine.extraPasses,
      clock: systemClock,
      cost,
      depth: engine.depth,
      sessionDepth: engine.sessionDepth,
      downstreamMs,
      timeline,
    });
    const waitingSeconds = (): number => scheduler.waitingSamples / model.manifest.audio.sampleRateHz;
    readGauge(context.metrics, 'talkmesh_waiting_speech_seconds', 'Speech that no chunk has taken yet', waitingSeconds);
    openSessionsGauge(context.metrics, () => scheduler.stats());
    const sessions = new Sessions({ context, model, engine, scheduler, outbound, metrics, admission, cost });
    const handlers = controlHandlers(config.capacity, model.label, sessions);
    const resources = [engine, executor];
    const parts = { scheduler, handlers, sessions, outbound, failed: engine.failed, timeline, resources };
    return { grpc: [], ...runChunkWorker<ScoreOutput>(parts) };
  });
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
