import { setTimeout as sleep } from 'node:timers/promises';
import { MeshError } from '@talkmesh/contracts';
import { createOrtExecutor, loadModel, parseProvider, ScoreEngine } from '@talkmesh/inference';
import type { RunningService, ServiceContext } from '@talkmesh/service-kit';
import type { Clock } from './clock.js';
import type { Config } from './config.js';
import { Control } from './control.js';
import { createScoreMetrics } from './metrics.js';
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
  const model = await loadModel(config.model);
  const executor = createOrtExecutor({
    threads: config.inferenceThreads,
    provider: parseProvider(config.inferenceProvider),
  });
  try {
    const engine = await ScoreEngine.load(model, executor);
    const warmUpMs = await warmUp(engine);
    log.info({ model: model.label, warmUpMs, threads: config.inferenceThreads }, 'model loaded');
    const metrics = createScoreMetrics(context.metrics, () => engine.stateBytes());
    const outbound = new Outbound(bus, metrics, log);
    const stage = new ScoreStage({ geometry: model.geometry, steps: model.manifest.score.schedule.length, clock });
    const control = new Control({ context, model, engine, stage, outbound, metrics });
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

/** The first runs allocate; a session must not pay for them. @returns the time of the second chunk, milliseconds */
async function warmUp(engine: ScoreEngine): Promise<number> {
  const { model } = engine;
  const avatar = model.manifest.avatars[0]?.id ?? '';
  const session = await engine.openSession({ avatar, seed: 0, keepChunks: 1 });
  const silence = new Int16Array(model.geometry.samplesPerChunk);
  await session.generate(0, silence);
  const startMs = performance.now();
  await session.generate(1, silence);
  session.dispose();
  return Math.round(performance.now() - startMs);
}
