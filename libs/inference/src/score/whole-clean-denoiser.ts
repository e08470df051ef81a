import { compileCondition, compileSound, compileWhole, loadCompiled } from '../compile/index.js';
import { ropeRows, tokensOf } from '../compile/rope.js';
import type { Executor, Segment, TensorHandle } from '../executor/executor.js';
import { loadChunkConcat } from '../executor/step-graphs.js';
import {
  type ChunkInputs,
  type CleanDenoiser,
  type CleanModel,
  type CleanWork,
  checkCleanModel,
  modulationsOf,
  runOnce,
} from './clean-denoiser.js';
import { finished } from './flow-schedule.js';
import { KeyValues } from './key-values.js';

interface Parts {
  readonly keys: TensorHandle;
  readonly values: TensorHandle;
}
type Vectors = Readonly<Record<string, TensorHandle>>;

interface Segments {
  readonly score: Segment;
  readonly sound: Segment | undefined;
  /** Joins the keys and values of that many chunks. */
  readonly concat: Map<number, Segment>;
}

/** Runs the undivided graph on one executor. */
export class WholeCleanDenoiser implements CleanDenoiser<Parts> {
  readonly depth = 1;
  readonly copies = 1;
  readonly failed: Promise<never>;
  readonly executor: Executor;
  readonly model: CleanModel;
  readonly #segments: Segments;
  /** By noise level. */
  readonly #modulations: ReadonlyMap<number, TensorHandle>;
  readonly #prompt: Vectors;
  readonly #nothing: TensorHandle;

  private constructor(
    executor: Executor,
    model: CleanModel,
    parts: { segments: Segments; modulations: ReadonlyMap<number, TensorHandle>; prompt: Vectors },
  ) {
    this.executor = executor;
    this.failed = executor.failed;
    this.model = model;
    this.#segments = parts.segments;
    this.#modulations = parts.modulations;
    this.#prompt = parts.prompt;
    this.#nothing = executor.upload(new Float32Array(0), 'float32', [model.dit.layers, 0, model.dit.dim]);
  }

  /** @throws MeshError MODEL_INVALID when description, weights and geometry do not match */
  static async load(executor: Executor, model: CleanModel): Promise<WholeCleanDenoiser> {
    checkCleanModel(model);
    const { dit, weights, geometry } = model;
    const modulations = await modulationsOf(executor, model);
    const prompt = await promptOf(executor, model);
    const score = await loadCompiled(executor, compileWhole(dit, weights, geometry, { condition: 'apart' }));
    const heard = compileSound(dit, weights, geometry);
    const sound = heard === undefined ? undefined : await loadCompiled(executor, heard);
    const segments = { score, sound, concat: new Map<number, Segment>() };
    return new WholeCleanDenoiser(executor, model, { segments, modulations, prompt });
  }

  get sharedBytes(): number {
    return [...this.#modulations.values(), ...Object.values(this.#prompt)].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  async begin(chunk: number, inputs: ChunkInputs<Parts>): Promise<CleanWork<Parts>> {
    const { executor, model } = this;
    const { dit, geometry } = model;
    const { latentFrames: frames, given = 0, height, width } = geometry;
    const { cos, sin } = ropeRows(dit, geometry, chunk * frames, frames);
    const table = [tokensOf(dit, geometry), dit.dim / dit.heads / 2];
    const own: Record<string, TensorHandle> = {
      rope_cos: executor.upload(cos, 'float32', table),
      rope_sin: executor.upload(sin, 'float32', table),
    };
    if (inputs.given !== undefined)
      own['given'] = executor.upload(inputs.given, 'float32', [frames, given, height, width]);
    Object.assign(own, await this.#hear(inputs.sound));
    const none = { k_context: this.#nothing, v_context: this.#nothing };
    if (inputs.context.length > 0) Object.assign(own, await this.#join(inputs.context));
    return new WholeCleanWork(this, this.#segments.score, { ...none, ...this.#prompt, ...own }, own);
  }

  async holds(): Promise<boolean> {
    return true;
  }

  modulation(level: number): TensorHandle {
    return this.#modulations.get(level) as TensorHandle;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.executor.release(this.#nothing, ...this.#modulations.values(), ...Object.values(this.#prompt));
  }

  async #hear(values: Float32Array | undefined): Promise<Vectors> {
    const { executor, model } = this;
    const segments = this.#segments;
    if (segments.sound === undefined || values === undefined) return {};
    const { latentFrames, sound = 0 } = model.geometry;
    return runOnce(executor, segments.sound, { sound: executor.upload(values, 'float32', [latentFrames, sound]) });
  }

  async #join(chunks: readonly KeyValues<Parts>[]): Promise<Vectors> {
    const { dit, geometry } = this.model;
    const known = this.#segments.concat.get(chunks.length);
    const concat =
      known ?? (await loadChunkConcat(this.executor, chunks.length, [dit.layers, tokensOf(dit, geometry), dit.dim]));
    this.#segments.concat.set(chunks.length, concat);
    const inputs = Object.fromEntries(
      chunks.flatMap(({ parts }, i) => [
        [`k_${i}`, parts.keys],
        [`v_${i}`, parts.values],
      ]),
    );
    return this.executor.run(concat, { inputs, outputs: ['k_context', 'v_context'] });
  }
}

class WholeCleanWork implements CleanWork<Parts> {
  readonly #denoiser: WholeCleanDenoiser;
  readonly #score: Segment;
  readonly #inputs: Vectors;
  readonly #own: Vectors;

  /** @param own those of the inputs that only this chunk has */
  constructor(denoiser: WholeCleanDenoiser, score: Segment, inputs: Vectors, own: Vectors) {
    this.#denoiser = denoiser;
    this.#score = score;
    this.#inputs = inputs;
    this.#own = own;
  }

  async predict(_step: number, level: number, x: Float32Array): Promise<Float32Array> {
    const { velocity } = await this.#pass(level, x, ['velocity']);
    return finished(x, (await this.#denoiser.executor.take(velocity as TensorHandle)) as Float32Array, level);
  }

  async keep(x: Float32Array): Promise<KeyValues<Parts>> {
    const { executor, model } = this.#denoiser;
    const { level } = model.dit.context as { level: number };
    const { k_chunk, v_chunk } = await this.#pass(level, x, ['k_chunk', 'v_chunk']);
    const [keys, values] = [k_chunk as TensorHandle, v_chunk as TensorHandle];
    return new KeyValues({ keys, values }, keys.bytes + values.bytes, () => executor.release(keys, values));
  }

  release(): void {
    this.#denoiser.executor.release(...Object.values(this.#own));
  }

  async #pass(level: number, x: Float32Array, outputs: readonly string[]): Promise<Record<string, TensorHandle>> {
    const { executor, model } = this.#denoiser;
    const { latentFrames, channels, height, width } = model.geometry;
    const latents = executor.upload(x, 'float32', [latentFrames, channels, height, width]);
    const modulation = this.#denoiser.modulation(level);
    try {
      return await executor.run(this.#score, { inputs: { x: latents, modulation, ...this.#inputs }, outputs });
    } finally {
      executor.release(latents);
    }
  }
}

async function promptOf(executor: Executor, { dit, weights, geometry, prompt }: CleanModel): Promise<Vectors> {
  const compiled = compileCondition(dit, weights, geometry);
  if (compiled === undefined) return {};
  const { tokens = 0, dim = 0 } = geometry.condition ?? {};
  const condition = executor.upload(prompt, 'float32', [tokens, dim]);
  return runOnce(executor, await loadCompiled(executor, compiled), { condition });
}
