import { MeshError } from '@talkmesh/contracts';
import {
  ChunkCost,
  CLOCKLESS_EVERY_CHUNKS,
  createOrtExecutor,
  DecoderEngine,
  decoderStateBytes,
  loadModel,
  type Model,
  openTimeline,
  PortraitFinder,
  parseProvider,
  RealTimeAdmission,
} from '@talkmesh/inference';
import { ownPictures, RollingPercentiles, type RunningService, type ServiceContext } from '@talkmesh/service-kit';
import type { Clock } from './clock.js';
import type { Config } from './config.js';
import { Control } from './control.js';
import { createDecodeMetrics } from './metrics.js';
import { Outbound } from './outbound.js';
import { pictureService } from './pictures.js';
import { DecodeStage } from './stage.js';

const clock: Clock = {
  nowMs: () => performance.now(),
  wallUs: () => (performance.timeOrigin + performance.now()) * 1000,
};

export async function startVaeDecode(context: ServiceContext<Config>): Promise<RunningService> {
  const { config, log, bus } = context;
  const model = await loadModel(config.model, { ownPictures: ownPictures(bus) });
  const executor = createOrtExecutor({
    threads: config.inferenceThreads,
    provider: parseProvider(config.inferenceProvider),
  });
  try {
    const engine = await DecoderEngine.load(model, executor);
    const finder = await PortraitFinder.load(model, executor);
    const warmUpMs = await warmUp(engine);
    log.info({ model: model.label, warmUpMs, threads: config.inferenceThreads }, 'model loaded');
    const cost = new ChunkCost(warmUpMs);
    const admission = admissionOf(context, model, cost);
    const timeline = openTimeline(config.timeline, 'vae-decode');
    const outbound = new Outbound(bus, createDecodeMetrics(context.metrics, engine, admission), log);
    const { downstreamMs } = config;
    const { width, height, fps } = model.manifest;
    const stage = new DecodeStage({
      geometry: model.geometry,
      width,
      height,
      fps,
      clock,
      cost,
      downstreamMs,
      timeline,
    });
    const control = new Control({ context, model, engine, stage, outbound, admission });
    const stop = new AbortController();
    const working = work(stage, outbound, control, stop.signal);
    let died: unknown;
    executor.failed.catch((error: unknown) => {
      died = error;
      giveUp(stage, control, outbound, error);
      process.kill(process.pid, 'SIGTERM');
    });
    return {
      grpc: [pictureService(finder)],
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
  const refusals = metrics.counter('talkmesh_admission_refusals_total', 'Sessions refused, by what is full', [
    'reason',
  ]);
  const limits = {
    windowMs: Math.max(1, model.geometry.chunkMs - config.downstreamMs),
    utilisation: config.utilisationMax,
    stateBytes: config.stateBytesMax,
    stateBytesPerSession: decoderStateBytes(model.manifest, config).total,
    clocklessShare: 1 / CLOCKLESS_EVERY_CHUNKS,
  };
  return new RealTimeAdmission(
    limits,
    () => cost.ms,
    (reason) => refusals.inc({ reason }),
  );
}

async function work(stage: DecodeStage, outbound: Outbound, control: Control, signal: AbortSignal): Promise<void> {
  for await (const output of stage.run(signal)) {
    if (output.type === 'failed') control.forget(output.sessionId);
    outbound.output(output);
  }
}

/** The inference thread is gone and every state with it: let the process be started again. */
function giveUp(stage: DecodeStage, control: Control, outbound: Outbound, error: unknown): void {
  for (const { sessionId, epoch } of stage.stats()) {
    outbound.error(sessionId, epoch, MeshError.from(error));
    control.forget(sessionId);
    stage.close(sessionId);
  }
}

const WARM_UP_CHUNKS = 5;

/** The first runs allocate; a session must not pay for them. @returns the median of the chunks after the first, milliseconds */
async function warmUp(engine: DecoderEngine): Promise<number> {
  const { model } = engine;
  const avatar = model.manifest.avatars[0]?.id ?? '';
  const session = await engine.openSession({ avatar, keepChunks: 1 });
  const still = new Float32Array(model.geometry.latentValues);
  await session.decode(0, still);
  const times = new RollingPercentiles();
  for (let chunk = 1; chunk <= WARM_UP_CHUNKS; chunk++) {
    const startMs = performance.now();
    await session.decode(chunk, still);
    times.add(performance.now() - startMs);
  }
  session.dispose();
  return Math.round(times.p(0.5) * 10) / 10;
}
