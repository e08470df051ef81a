import {
  admissionOf,
  ChunkCost,
  createChunkMetrics,
  runChunkWorker,
  startOnModel,
  systemClock,
  warmUp,
} from '@talkmesh/chunk-worker';
import { type DecoderEngine, loadDecoderEngine, MouthReader, type RequestedPrecision } from '@talkmesh/inference';
import { type RunningService, readGauge, type ServiceContext } from '@talkmesh/service-kit';
import type { Config } from './config.js';
import { controlHandlers } from './control.js';
import { MouthMetrics } from './mouth-metrics.js';
import { Outbound } from './outbound.js';
import { pictureService } from './picture-service.js';
import { type DecodeOutput, DecodeScheduler } from './scheduler.js';
import { Sessions } from './sessions.js';

export async function startVaeDecode(context: ServiceContext<Config>): Promise<RunningService> {
  const { config, log, bus } = context;
  return startOnModel(context, async (model, executor, timeline) => {
    const engine = await loadDecoderEngine(model, executor, precisionOf(config));
    const warmUpMs = await warm(engine);
    const { precision, reason } = engine.precision;
    const { provider, onProcessor } = executor;
    const { inferenceThreads: threads } = config;
    log.info({ model: model.label, warmUpMs, threads, provider, onProcessor, precision, reason }, 'model loaded');
    const cost = new ChunkCost(warmUpMs);
    const admission = admissionOf(context, model, engine.sessionBytes(config.keepChunks), cost);
    const metrics = createChunkMetrics(context.metrics, () => engine.stateBytes(), admission);
    context.metrics
      .gauge('talkmesh_decoder_info', 'Always 1; its label is the precision of the decoder', ['precision'])
      .set({ precision }, 1);
    const outbound = new Outbound(bus, metrics, log);
    const { downstreamMs } = config;
    const { fps } = model.manifest;
    const scheduler = new DecodeScheduler({
      geometry: model.geometry,
      fps,
      clock: systemClock,
      cost,
      downstreamMs,
      timeline,
    });
    const waiting = (): number => scheduler.waitingChunks;
    readGauge(context.metrics, 'talkmesh_waiting_chunks', 'Chunks that wait to be decoded', waiting);
    const reader = await MouthReader.load(model);
    const mouths = reader && new MouthMetrics(reader, fps, context.metrics);
    const sessions = new Sessions({ context, model, engine, scheduler, outbound, admission, cost, mouths });
    const handlers = controlHandlers(config.capacity, model.label, sessions);
    const resources = [engine, executor];
    const parts = { scheduler, handlers, sessions, outbound, failed: executor.failed, timeline, resources };
    return { grpc: [pictureService(engine.finder)], ...runChunkWorker<DecodeOutput>(parts) };
  });
}

/** 8-bit convolutions are the processor's: on another provider they are taken only when they are asked for. */
const precisionOf = ({ decoderPrecision, inferenceProvider }: Config): RequestedPrecision =>
  decoderPrecision === 'auto' && inferenceProvider !== 'cpu' ? 'float32' : decoderPrecision;

async function warm(engine: DecoderEngine): Promise<number> {
  const { model } = engine;
  const avatar = model.manifest.avatars[0]?.id ?? '';
  const session = await engine.openSession({ avatar, keepChunks: 1 });
  const still = new Float32Array(model.geometry.latentValues);
  const costMs = await warmUp((chunk) => session.decode(chunk, still));
  session.dispose();
  return costMs;
}
