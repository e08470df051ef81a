import { type DitDescription, MeshError } from '@talkmesh/contracts';
import {
  compileCondition,
  compileSound,
  compileTimestep,
  compileWhole,
  type DitGeometry,
  loadCompiled,
  type Weights,
} from '../compile/index.js';
import { ropeRows, tokensOf } from '../compile/rope.js';
import type { Executor, Segment, TensorHandle } from '../executor/executor.js';
import { loadChunkConcat } from '../executor/step-graphs.js';
import { KeyValues } from './key-values.js';

export interface KeptParts {
  readonly keys: TensorHandle;
  readonly values: TensorHandle;
}
export type KeptKeyValues = KeyValues<KeptParts>;
export type Vectors = Readonly<Record<string, TensorHandle>>;

export interface CleanModel {
  readonly dit: DitDescription;
  readonly weights: Weights;
  readonly geometry: DitGeometry;
  /** Noise level at the start of each step, descending. */
  readonly levels: readonly number[];
  /** Levels that sessions of other schedules take besides. */
  readonly moreLevels?: readonly number[];
  /** The prompt's embedding, [condition.tokens, condition.dim] flat. All sessions share its keys and values. */
  readonly prompt: Float32Array;
}

/** What all passes of one chunk share. */
export interface ChunkInputs {
  readonly vectors: Vectors;
  readonly given: TensorHandle | undefined;
  readonly context: Vectors;
  readonly rope: Vectors;
}

interface Segments {
  readonly score: Segment;
  readonly sound: Segment | undefined;
  /** Joins the keys and values of that many chunks. */
  readonly concat: Map<number, Segment>;
}

/** Runs the passes of a network whose chunks attend to finished chunks at absolute positions (`dit.context`). It has no notion of sessions. */
export class CleanDenoiser implements AsyncDisposable {
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
    this.model = model;
    this.#segments = parts.segments;
    this.#modulations = parts.modulations;
    this.#prompt = parts.prompt;
    this.#nothing = executor.upload(new Float32Array(0), 'float32', [model.dit.layers, 0, model.dit.dim]);
  }

  /** @throws MeshError MODEL_INVALID when description, weights and geometry do not match */
  static async load(executor: Executor, model: CleanModel): Promise<CleanDenoiser> {
    const { dit, weights, geometry, levels, moreLevels = [] } = model;
    if (dit.context === undefined)
      throw new MeshError(
        'MODEL_INVALID',
        'the description has no context rule; describe which chunks a chunk attends to',
      );
    const modulations = await modulationsOf(executor, model, [...levels, ...moreLevels, dit.context.level]);
    const prompt = await promptOf(executor, model);
    const score = await loadCompiled(executor, compileWhole(dit, weights, geometry, { condition: 'apart' }));
    const heard = compileSound(dit, weights, geometry);
    const sound = heard === undefined ? undefined : await loadCompiled(executor, heard);
    return new CleanDenoiser(executor, model, { segments: { score, sound, concat: new Map() }, modulations, prompt });
  }

  get sharedBytes(): number {
    return [...this.#modulations.values(), ...Object.values(this.#prompt)].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /**
   * Computes what the passes of a chunk share. `release` frees it.
   * @param sound [latentFrames, values] flat; undefined for a model without sound
   * @param given [latentFrames, given, H, W] flat; undefined for a model without given channels
   * @param context the chunks that it attends to, oldest first
   */
  async begin(
    chunk: number,
    inputs: { sound: Float32Array | undefined; given: Float32Array | undefined; context: readonly KeptKeyValues[] },
  ): Promise<ChunkInputs> {
    const { executor, model } = this;
    const { dit, geometry } = model;
    const { latentFrames: frames, given = 0, height, width } = geometry;
    const { cos, sin } = ropeRows(dit, geometry, chunk * frames, frames);
    const table = [tokensOf(dit, geometry), dit.dim / dit.heads / 2];
    const rope = {
      rope_cos: executor.upload(cos, 'float32', table),
      rope_sin: executor.upload(sin, 'float32', table),
    };
    const shown =
      inputs.given === undefined ? undefined : executor.upload(inputs.given, 'float32', [frames, given, height, width]);
    const vectors = await this.#hear(inputs.sound);
    return { rope, given: shown, vectors, context: await this.#join(inputs.context) };
  }

  release({ rope, given, vectors, context }: ChunkInputs): void {
    const shown = given === undefined ? [] : [given];
    const joined = Object.values(context).filter((handle) => handle !== this.#nothing);
    this.executor.release(...Object.values(rope), ...shown, ...Object.values(vectors), ...joined);
  }

  /** One pass at a noise level of the model. @param x [latentFrames, C, H, W] flat @returns its velocity, as x */
  async velocity(chunk: ChunkInputs, level: number, x: Float32Array): Promise<Float32Array> {
    const { velocity } = await this.#pass(chunk, level, x, ['velocity']);
    return (await this.executor.take(velocity as TensorHandle)) as Float32Array;
  }

  /** The pass over finished latents that later chunks attend to. */
  async keep(chunk: ChunkInputs, x: Float32Array): Promise<KeptKeyValues> {
    const { level } = this.model.dit.context as { level: number };
    const { k_chunk, v_chunk } = await this.#pass(chunk, level, x, ['k_chunk', 'v_chunk']);
    const [keys, values] = [k_chunk as TensorHandle, v_chunk as TensorHandle];
    return new KeyValues({ keys, values }, keys.bytes + values.bytes, () => this.executor.release(keys, values));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.executor.release(this.#nothing, ...this.#modulations.values(), ...Object.values(this.#prompt));
  }

  async #pass(
    chunk: ChunkInputs,
    level: number,
    x: Float32Array,
    outputs: readonly string[],
  ): Promise<Record<string, TensorHandle>> {
    const { latentFrames, channels, height, width } = this.model.geometry;
    const latents = this.executor.upload(x, 'float32', [latentFrames, channels, height, width]);
    const inputs = {
      x: latents,
      modulation: this.#modulations.get(level) as TensorHandle,
      ...(chunk.given === undefined ? {} : { given: chunk.given }),
      ...this.#prompt,
      ...chunk.vectors,
      ...chunk.context,
      ...chunk.rope,
    };
    try {
      return await this.executor.run(this.#segments.score, { inputs, outputs });
    } finally {
      this.executor.release(latents);
    }
  }

  async #hear(values: Float32Array | undefined): Promise<Vectors> {
    const { executor, model } = this;
    const segments = this.#segments;
    if (segments.sound === undefined || values === undefined) return {};
    const { latentFrames, sound = 0 } = model.geometry;
    return runOnce(executor, segments.sound, { sound: executor.upload(values, 'float32', [latentFrames, sound]) });
  }

  async #join(chunks: readonly KeptKeyValues[]): Promise<Vectors> {
    if (chunks.length === 0) return { k_context: this.#nothing, v_context: this.#nothing };
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

/** Runs a segment for all its outputs and frees its inputs. */
async function runOnce(executor: Executor, segment: Segment, inputs: Vectors): Promise<Record<string, TensorHandle>> {
  const outputs = segment.outputs.map(({ name }) => name);
  try {
    return await executor.run(segment, { inputs, outputs });
  } finally {
    executor.release(...Object.values(inputs));
  }
}

async function modulationsOf(
  executor: Executor,
  model: CleanModel,
  levels: readonly number[],
): Promise<ReadonlyMap<number, TensorHandle>> {
  const timestep = await loadCompiled(executor, compileTimestep(model.dit, model.weights));
  const made = new Map<number, TensorHandle>();
  for (const level of new Set(levels)) {
    const t = executor.upload(Float32Array.of(level), 'float32', [1]);
    const { modulation } = await runOnce(executor, timestep, { t });
    made.set(level, modulation as TensorHandle);
  }
  return made;
}

async function promptOf(executor: Executor, { dit, weights, geometry, prompt }: CleanModel): Promise<Vectors> {
  const compiled = compileCondition(dit, weights, geometry);
  if (compiled === undefined) return {};
  const { tokens = 0, dim = 0 } = geometry.condition ?? {};
  if (prompt.length !== tokens * dim)
    throw new MeshError('MODEL_INVALID', `the prompt's embedding has ${prompt.length} values, not ${tokens} x ${dim}`);
  const condition = executor.upload(prompt, 'float32', [tokens, dim]);
  return runOnce(executor, await loadCompiled(executor, compiled), { condition });
}
