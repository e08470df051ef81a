import {
  createOrtExecutor,
  type Executor,
  loadModel,
  type Model,
  openTimeline,
  parseProvider,
  type Timeline,
} from '@talkmesh/inference';
import type { BaseConfig, RunningService, ServiceContext } from '@talkmesh/service-kit';
import { refusalCounter } from './chunk-worker.js';
import { ownPictures } from './own-pictures.js';
import { RealTimeAdmission, realTimeLimits } from './schedule/admission.js';
import type { ChunkCost } from './schedule/cost.js';

/** Settings of a service that runs a model: `inferenceConfigShape` and `scheduleConfigShape` with its time downstream. */
export interface ModelWorkerConfig extends BaseConfig {
  readonly model: string;
  readonly chunkLatentFrames: number;
  readonly inferenceThreads: number;
  readonly inferenceProvider: string;
  readonly timeline: string;
  readonly downstreamMs: number;
  readonly utilisationMax: number;
  readonly stateBytesMax: number;
}

/**
 * Loads the configured model and an executor for it, and starts a service on both. What the executor does is on the timeline, which the service
 * closes. The executor is disposed when starting fails.
 * @throws MeshError for a model that cannot be loaded; whatever `start` throws
 */
export async function startOnModel(
  { config, bus, metrics, name }: ServiceContext<ModelWorkerConfig>,
  start: (model: Model, executor: Executor, timeline: Timeline & Disposable) => Promise<RunningService>,
): Promise<RunningService> {
  const { chunkLatentFrames } = config;
  const model = await loadModel(config.model, { ownPictures: ownPictures(bus), chunkLatentFrames });
  const timeline = openTimeline(config.timeline, name);
  const executor = createOrtExecutor({
    threads: config.inferenceThreads,
    provider: parseProvider(config.inferenceProvider),
    timeline,
  });
  metrics
    .gauge('talkmesh_inference_info', 'Always 1; its label is the provider that runs the model', ['provider'])
    .set({ provider: executor.provider }, 1);
  try {
    return await start(model, executor, timeline);
  } catch (error) {
    await executor[Symbol.asyncDispose]();
    throw error;
  }
}

/** Admission of a worker by its settings, the state one session holds at most and the measured cost of a chunk. */
export function admissionOf(
  { config, metrics }: Pick<ServiceContext<ModelWorkerConfig>, 'config' | 'metrics'>,
  model: Model,
  stateBytesPerSession: number,
  cost: ChunkCost,
): RealTimeAdmission {
  const limits = realTimeLimits(config, model.geometry.chunkMs, stateBytesPerSession);
  return new RealTimeAdmission(limits, () => cost.ms, refusalCounter(metrics));
}
