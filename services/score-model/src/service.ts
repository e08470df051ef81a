import { setTimeout as sleep } from 'node:timers/promises';
import { MeshError } from '@talkmesh/contracts';
import {
  ChunkCost,
  CLOCKLESS_EVERY_CHUNKS,
  createOrtExecutor,
  loadModel,
  type Model,
  openTimeline,
  parsePlan,
  parseProvider,
  RealTimeAdmission,
  ScoreEngine,
  sessionStateBytes,
} from '@talkmesh/inference';
import { ownPictures, RollingPercentiles, type RunningService, type ServiceContext } from '@talkmesh/service-kit';
import type { Clock } from './clock.js';
import type { Config } from './config.js';
import { Control, KEEP_BEYOND_LEAD } from './control.js';
import { countRankRestarts, createScoreMetrics } from './metrics.js';
import { Outbound } from './outbound.js';
import { ScoreStage } from './stage.js';

const clock: Clock = {
  nowMs: () => performance.now(),
  wallUs: () => (performance.timeOrigin + performance.now()) * 1000,
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
    const warmUpMs = await warmUp(engine);
    log.info({ model: model.label, warmUpMs, threads: config.inferenceThreads, ...plan }, 'model loaded');
    const cost = new ChunkCost(warmUpMs);
    const admission = admissionOf(context, model, cost);
    const metrics = createScoreMetrics(context.metrics, () => engine.stateBytes(), admission);
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
    const stop = new AbortController();
    const working = work(stage, outbound, control, stop.signal);
    let died: unknown;
    engine.failed.catch((error: unknown) => {
      died = error;
      giveUp(stage, control, outbound, error);
      process.kill(process.pid, 'SIGTERM');
    });
    return {
      grpc: [],
      worker: control,
      async [Symbol.asyncDispose]() {
        stop.abort();
        await working;
        timeline[Symbol.dispose]();
        if (died !== undefined) throw died;
        await engine[Symbol.asyncDispose]();
        await executor[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await executor[Symbol.asyncDispose]();
    throw error;
  }
}

function admissionOf({ config, metrics }: ServiceContext<Config>, model: Model, cost: ChunkCost): RealTimeAdmission {
  const keepChunks = config.maxLeadChunks + KEEP_BEYOND_LEAD;
  const refusals = metrics.counter('talkmesh_admission_refusals_total', 'Sessions refused, by what is full', [
    'reason',
  ]);
  const limits = {
    windowMs: Math.max(1, model.geometry.chunkMs - config.downstreamMs),
    utilisation: config.utilisationMax,
    stateBytes: config.stateBytesMax,
    stateBytesPerSession: sessionStateBytes(model.manifest, { keepChunks, plan: parsePlan(config).plan }).total,
    clocklessShare: 1 / CLOCKLESS_EVERY_CHUNKS,
  };
  return new RealTimeAdmission(
    limits,
    () => cost.ms,
    (reason) => refusals.inc({ reason }),
  );
}

async function work(stage: ScoreStage, outbound: Outbound, control: Control, signal: AbortSignal): Promise<void> {
  for await (const output of stage.run(signal)) {
    if (output.type === 'failed') control.forget(output.sessionId);
    outbound.output(output);
  }
}

/** The inference thread is gone and every state with it: say so and let the process be started again. */
function giveUp(stage: ScoreStage, control: Control, outbound: Outbound, error: unknown): void {
  for (const { sessionId, epoch } of stage.stats()) {
    outbound.error(sessionId, epoch, MeshError.from(error));
    control.forget(sessionId);
    stage.close(sessionId);
  }
}

const WARM_UP_CHUNKS = 5;

/** The first runs allocate; a session must not pay for them. @returns the median of the chunks after the first, milliseconds */
async function warmUp(engine: ScoreEngine): Promise<number> {
  const { model } = engine;
  const avatar = model.manifest.avatars[0]?.id ?? '';
  const session = await engine.openSession({ avatar, seed: 0, keepChunks: 1 });
  const silence = new Int16Array(model.geometry.samplesPerChunk);
  await session.generate(0, silence);
  const times = new RollingPercentiles();
  for (let chunk = 1; chunk <= WARM_UP_CHUNKS; chunk++) {
    const startMs = performance.now();
    await session.generate(chunk, silence);
    times.add(performance.now() - startMs);
  }
  session.dispose();
  return Math.round(times.p(0.5) * 10) / 10;
}
