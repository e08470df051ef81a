import type { QualityTier } from '@talkmesh/contracts';
import { compileCondition, compileWhole, loadCompiled, openWeights } from '../compile/index.js';
import type { Executor, Segment, TensorHandle } from '../executor/executor.js';
import { loadContextConcat, loadEulerStep } from '../executor/step-graphs.js';
import { type GraphModel, latentDims } from '../model/model.js';
import type { ChunkWork, Denoiser, PassContext, PassTarget } from './denoiser.js';
import { KeyValues } from './key-values.js';
import { audioTokens, type SharedTensors, type StepTensors } from './shared-tensors.js';

interface Parts {
  readonly keys: TensorHandle;
  readonly values: TensorHandle;
}

interface Segments {
  readonly audio: Segment;
  readonly condition: Segment | undefined;
  readonly score: Segment;
  readonly context: Segment;
  readonly euler: Segment;
}

/** Runs the undivided score graph on one executor. Intermediate tensors never leave the executor. */
export class WholeDenoiser implements Denoiser<Parts> {
  readonly depth = 1;
  readonly failed: Promise<never>;
  readonly model: GraphModel;
  readonly executor: Executor;
  readonly segments: Segments;
  readonly shared: SharedTensors;
  /** The layers' condition inputs for silence. */
  readonly silence: Readonly<Record<string, TensorHandle>>;
  /** Keys (and values) of an empty context, [layers, 0, dim]. */
  readonly nothing: TensorHandle;

  private constructor(
    model: GraphModel,
    executor: Executor,
    segments: Segments,
    shared: SharedTensors,
    silence: Readonly<Record<string, TensorHandle>>,
  ) {
    const { layers, dim } = model.manifest.score.dit;
    this.model = model;
    this.executor = executor;
    this.segments = segments;
    this.shared = shared;
    this.silence = silence;
    this.failed = executor.failed;
    this.nothing = executor.upload(new Float32Array(0), 'float32', [layers, 0, dim]);
  }

  /** @throws MeshError MODEL_INVALID */
  static async load(
    model: GraphModel,
    executor: Executor,
    audio: Segment,
    shared: SharedTensors,
  ): Promise<WholeDenoiser> {
    const { manifest, geometry, ditGeometry } = model;
    const { dit } = manifest.score;
    const weights = await openWeights(model.folder, manifest.score.weights);
    const apart = compileCondition(dit, weights, ditGeometry);
    const condition = apart === undefined ? undefined : await loadCompiled(executor, apart);
    const whole = compileWhole(dit, weights, ditGeometry, { condition: 'apart' });
    const score = await loadCompiled(executor, whole);
    const context = await loadContextConcat(executor, dit.layers, geometry.tokens, dit.dim);
    const euler = await loadEulerStep(executor, latentDims(manifest));
    const segments = { audio, condition, score, context, euler };
    const silence = await conditionsOf(executor, condition, shared.silence);
    return new WholeDenoiser(model, executor, segments, shared, silence);
  }

  get sharedBytes(): number {
    return Object.values(this.silence).reduce((sum, handle) => sum + handle.bytes, this.shared.bytes);
  }

  start(x: Float32Array, sound: Float32Array | undefined, tier: QualityTier): ChunkWork<Parts> {
    return new WholeWork(this, x, sound, this.shared.steps.get(tier.name) as StepTensors);
  }

  async runs(): Promise<Readonly<Record<string, number>>> {
    return (await this.executor.stats()).runs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.executor.release(this.nothing, ...Object.values(this.silence));
  }
}

async function conditionsOf(
  executor: Executor,
  segment: Segment | undefined,
  condition: TensorHandle,
): Promise<Record<string, TensorHandle>> {
  if (segment === undefined) return {};
  return executor.run(segment, { inputs: { condition }, outputs: segment.outputs.map((output) => output.name) });
}

class WholeWork implements ChunkWork<Parts> {
  readonly #denoiser: WholeDenoiser;
  readonly #sound: Float32Array | undefined;
  readonly #steps: StepTensors;
  /** All tensors of the chunk except its keys and values; `release` frees them. */
  readonly #handles = new Set<TensorHandle>();
  #conditions: Readonly<Record<string, TensorHandle>> | undefined;
  #x: TensorHandle;

  constructor(denoiser: WholeDenoiser, x: Float32Array, sound: Float32Array | undefined, steps: StepTensors) {
    this.#denoiser = denoiser;
    this.#sound = sound;
    this.#steps = steps;
    this.#x = this.#own(denoiser.executor.upload(x, 'float32', latentDims(denoiser.model.manifest)));
  }

  async pass(step: number, context: PassContext<Parts> | undefined, target: PassTarget): Promise<KeyValues<Parts>> {
    const { executor, segments, nothing } = this.#denoiser;
    const { modulations, stepToNext, stepToEnd } = this.#steps;
    const seen = context === undefined ? {} : await this.#context(context);
    try {
      this.#conditions ??= await this.#listen();
      const { velocity, k_chunk, v_chunk } = await executor.run(segments.score, {
        inputs: {
          x: this.#x,
          modulation: modulations[step] as TensorHandle,
          ...this.#conditions,
          ...(context === undefined ? { k_context: nothing, v_context: nothing } : seen),
        },
        outputs: ['velocity', 'k_chunk', 'v_chunk'],
      });
      this.#own(velocity as TensorHandle);
      const [keys, values] = [this.#own(k_chunk as TensorHandle), this.#own(v_chunk as TensorHandle)];
      if (target !== 'none')
        await this.#move(velocity as TensorHandle, (target === 'next' ? stepToNext : stepToEnd)[step]);
      this.#disown(keys, values);
      return new KeyValues({ keys, values }, keys.bytes + values.bytes, () => executor.release(keys, values));
    } finally {
      executor.release(...Object.values(seen));
    }
  }

  async latents(): Promise<Float32Array> {
    this.#disown(this.#x);
    return (await this.#denoiser.executor.take(this.#x)) as Float32Array;
  }

  release(): void {
    this.#denoiser.executor.release(...this.#handles);
  }

  /** Computed once per chunk: all steps share the layers' condition inputs for its audio. */
  async #listen(): Promise<Readonly<Record<string, TensorHandle>>> {
    const { model, executor, segments, silence } = this.#denoiser;
    if (this.#sound === undefined) return silence;
    const tokens = this.#own(await audioTokens(model, executor, segments.audio, this.#sound));
    const conditions = await conditionsOf(executor, segments.condition, tokens);
    for (const handle of Object.values(conditions)) this.#own(handle);
    return conditions;
  }

  async #context({ first, previous }: PassContext<Parts>): Promise<Record<string, TensorHandle>> {
    const { executor, segments } = this.#denoiser;
    const inputs = {
      k_first: first.parts.keys,
      k_previous: previous.parts.keys,
      v_first: first.parts.values,
      v_previous: previous.parts.values,
    };
    return executor.run(segments.context, { inputs, outputs: ['k_context', 'v_context'] });
  }

  async #move(velocity: TensorHandle, step: TensorHandle | undefined): Promise<void> {
    const { executor, segments } = this.#denoiser;
    const inputs = { x: this.#x, velocity, step: step as TensorHandle };
    const { x_next: next } = await executor.run(segments.euler, { inputs, outputs: ['x_next'] });
    this.#x = this.#own(next as TensorHandle);
  }

  #own(handle: TensorHandle): TensorHandle {
    this.#handles.add(handle);
    return handle;
  }

  #disown(...handles: readonly TensorHandle[]): void {
    for (const handle of handles) this.#handles.delete(handle);
  }
}
