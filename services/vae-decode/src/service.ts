import {
  ChunkCost,
  createOrtExecutor,
  DecoderEngine,
  decoderStateBytes,
  loadModel,
  type Model,
  openTimeline,
  PortraitFinder,
  type PrecisionWish,
  parseProvider,
  RealTimeAdmission,
  realTimeLimits,
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
import type { Config } from './config.js';
import { Control } from './control.js';
import { Outbound } from './outbound.js';
import { pictureService } from './pictures.js';
import { type DecodeOutput, DecodeStage } from './stage.js';

export async function startVaeDecode(context: ServiceContext<Config>): Promise<RunningService> {
  const { config, log, bus } = context;
  const model = await loadModel(config.model, { ownPictures: ownPictures(bus) });
  const executor = createOrtExecutor({
    threads: config.inferenceThreads,
    provider: parseProvider(config.inferenceProvider),
  });
  try {
    const engine = await DecoderEngine.load(model, executor, precisionOf(config));
    const finder = await PortraitFinder.load(model, executor);
    const warmUpMs = await warm(engine);
    const { precision, reason } = engine.choice;
    log.info({ model: model.label, warmUpMs, threads: config.inferenceThreads, precision, reason }, 'model loaded');
    const cost = new ChunkCost(warmUpMs);
    const admission = admissionOf(context, model, cost);
    const timeline = openTimeline(config.timeline, 'vae-decode');
    const metrics = createChunkMetrics(context.metrics, () => engine.stateBytes(), admission);
    context.metrics
      .gauge('talkmesh_decoder_info', 'Always 1; says which decoder the worker runs', ['precision'])
      .set({ precision }, 1);
    const outbound = new Outbound(bus, metrics, log);
    const { downstreamMs } = config;
    const { width, height, fps } = model.manifest;
    const stage = new DecodeStage({
      geometry: model.geometry,
      width,
      height,
      fps,
      clock: systemClock,
      cost,
      downstreamMs,
      timeline,
    });
    const control = new Control({ context, model, engine, stage, outbound, admission });
    const resources = [engine, executor];
    const parts = { stage, control, outbound, failed: executor.failed, timeline, resources };
    return { grpc: [pictureService(finder)], ...runChunkWorker<DecodeOutput>(parts) };
  } catch (error) {
    await executor[Symbol.asyncDispose]();
    throw error;
  }
}

/** 8-bit convolutions are the processor's: on another provider they are taken only when they are asked for. */
const precisionOf = ({ decoderPrecision, inferenceProvider }: Config): PrecisionWish =>
  decoderPrecision === 'auto' && inferenceProvider !== 'cpu' ? 'float32' : decoderPrecision;

function admissionOf({ config, metrics }: ServiceContext<Config>, model: Model, cost: ChunkCost): RealTimeAdmission {
  const stateBytes = decoderStateBytes(model.manifest, config).total;
  const limits = realTimeLimits(config, model.geometry.chunkMs, stateBytes);
  return new RealTimeAdmission(limits, () => cost.ms, refusalCounter(metrics));
}

async function warm(engine: DecoderEngine): Promise<number> {
  const { model } = engine;
  const avatar = model.manifest.avatars[0]?.id ?? '';
  const session = await engine.openSession({ avatar, keepChunks: 1 });
  const still = new Float32Array(model.geometry.latentValues);
  const costMs = await warmUp((chunk) => session.decode(chunk, still));
  session.dispose();
  return costMs;
}
