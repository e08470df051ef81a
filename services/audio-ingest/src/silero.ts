import { SPEECH_RATE_HZ } from '@talkmesh/contracts';
import { createOrtExecutor, type Executor, type Segment, type TensorHandle } from '@talkmesh/inference';
import { fromPcm16, Resampler } from '@talkmesh/media';
import type { Logger } from '@talkmesh/service-kit';

/** Silero VAD v5: 512 samples at 16 kHz, preceded by the last 64 of the window before. */
const RATE_HZ = 16_000;
const WINDOW = 512;
const CONTEXT = 64;
const STATE_DIMS = [2, 1, 128] as const;
const STATE_VALUES = 256;
export const WINDOW_MS = (WINDOW * 1000) / RATE_HZ;

interface Engine {
  readonly executor: Executor;
  readonly segment: Segment;
  readonly rate: TensorHandle;
}

/** The model, loaded once per process and run in a thread of its own for all sessions. */
export class SileroModel implements AsyncDisposable {
  readonly #path: string;
  readonly #log: Logger;
  #engine: Promise<Engine>;
  #disposed = false;

  /** @throws MeshError MODEL_INVALID */
  static async load(path: string, log: Logger): Promise<SileroModel> {
    const model = new SileroModel(path, log);
    await model.#engine;
    return model;
  }

  private constructor(path: string, log: Logger) {
    this.#path = path;
    this.#log = log;
    this.#engine = this.#start();
  }

  detector(): SileroDetector {
    return new SileroDetector(() => this.#engine);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    const { executor } = await this.#engine;
    await executor[Symbol.asyncDispose]();
  }

  async #start(): Promise<Engine> {
    const executor = createOrtExecutor({ threads: 1 });
    const segment = await executor.load(this.#path, 'silero-vad').catch(async (thrown: unknown) => {
      await executor[Symbol.asyncDispose]();
      throw thrown;
    });
    const rate = executor.upload(BigInt64Array.of(BigInt(RATE_HZ)), 'int64', [1]);
    executor.failed.catch((err: unknown) => {
      if (this.#disposed) return;
      this.#log.error({ err }, 'the voice activity detection thread exited and is restarted');
      this.#engine = this.#start();
      this.#engine.catch(() => undefined);
    });
    return { executor, segment, rate };
  }
}

/** Speech probabilities of one microphone. Push calls must not overlap. */
export class SileroDetector {
  readonly #engineNow: () => Promise<Engine>;
  readonly #resampler = new Resampler(SPEECH_RATE_HZ, RATE_HZ);
  #pending = new Float32Array(0);
  #context = new Float32Array(CONTEXT);
  #state: { readonly engine: Engine; readonly handle: TensorHandle } | undefined;

  constructor(engineNow: () => Promise<Engine>) {
    this.#engineNow = engineNow;
  }

  /** @returns one probability per window of 32 ms that was completed. @throws MeshError INTERNAL; the next call starts with fresh state */
  async push(pcm24k: Int16Array): Promise<number[]> {
    const more = this.#resampler.push(fromPcm16(pcm24k));
    const samples = new Float32Array(this.#pending.length + more.length);
    samples.set(this.#pending);
    samples.set(more, this.#pending.length);
    const windows = Math.floor(samples.length / WINDOW);
    this.#pending = samples.slice(windows * WINDOW);
    const probabilities: number[] = [];
    for (let i = 0; i < windows; i++)
      probabilities.push(await this.#probability(samples.subarray(i * WINDOW, (i + 1) * WINDOW)));
    return probabilities;
  }

  close(): void {
    this.#state?.engine.executor.release(this.#state.handle);
    this.#state = undefined;
  }

  async #probability(window: Float32Array): Promise<number> {
    const engine = await this.#engineNow();
    const { executor, segment, rate } = engine;
    const data = new Float32Array(CONTEXT + WINDOW);
    data.set(this.#context);
    data.set(window, CONTEXT);
    this.#context = window.slice(-CONTEXT);
    const input = executor.upload(data, 'float32', [1, data.length]);
    const state = this.#takeState(engine);
    try {
      const { output, stateN } = await executor.run(segment, {
        inputs: { input, state, sr: rate },
        outputs: ['output', 'stateN'],
      });
      if (output === undefined || stateN === undefined)
        throw new RangeError('the VAD model returned no output; TALKMESH_VAD_MODEL must be Silero VAD v5');
      this.#state = { engine, handle: stateN };
      const [probability] = (await executor.download(output)) as Float32Array;
      executor.release(output);
      return probability ?? 0;
    } finally {
      executor.release(input, state);
    }
  }

  /** The recurrent state belongs to the engine that produced it; after a restart it is zero. */
  #takeState(engine: Engine): TensorHandle {
    const held = this.#state;
    this.#state = undefined;
    if (held?.engine === engine) return held.handle;
    return engine.executor.upload(new Float32Array(STATE_VALUES), 'float32', STATE_DIMS);
  }
}
