import { MeshError } from '@talkmesh/contracts';
import { createOrtExecutor, DecoderEngine, loadModel, parseProvider } from '@talkmesh/inference';
import type { RunningService, ServiceContext } from '@talkmesh/service-kit';
import type { Clock } from './clock.js';
import type { Config } from './config.js';
import { Control } from './control.js';
import { createDecodeMetrics } from './metrics.js';
import { Outbound } from './outbound.js';
import { DecodeStage } from './stage.js';

const clock: Clock = {
  nowMs: () => performance.now(),
  wallUs: () => (performance.timeOrigin + performance.now()) * 1000,
};

export async function startVaeDecode(context: ServiceContext<Config>): Promise<RunningService> {
  const { config, log, bus } = context;
  const model = await loadModel(config.model);
  const executor = createOrtExecutor({
    threads: config.inferenceThreads,
    provider: parseProvider(config.inferenceProvider),
  });
  try {
    const engine = await DecoderEngine.load(model, executor);
    const warmUpMs = await warmUp(engine);
    log.info({ model: model.label, warmUpMs, threads: config.inferenceThreads }, 'model loaded');
    const outbound = new Outbound(bus, createDecodeMetrics(context.metrics, engine), log);
    const { width, height, fps } = model.manifest;
    const stage = new DecodeStage({ geometry: model.geometry, width, height, fps, clock });
    const control = new Control({ context, model, engine, stage, outbound });
    const stop = new AbortController();
    const working = work(stage, outbound, control, stop.signal);
    let died: unknown;
    executor.failed.catch((error: unknown) => {
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

/** The first runs allocate; a session must not pay for them. @returns the time of the second chunk, milliseconds */
async function warmUp(engine: DecoderEngine): Promise<number> {
  const { model } = engine;
  const avatar = model.manifest.avatars[0]?.id ?? '';
  const session = await engine.openSession({ avatar, keepChunks: 1 });
  const still = new Float32Array(model.geometry.latentValues);
  await session.decode(0, still);
  const startMs = performance.now();
  await session.decode(1, still);
  session.dispose();
  return Math.round(performance.now() - startMs);
}
