import { type DitDescription, MeshError } from '@talkmesh/contracts';
import { compileTimestep, type DitGeometry, loadCompiled, type Weights } from '../compile/index.js';
import type { Executor, Segment, TensorHandle } from '../executor/executor.js';
import type { KeyValues } from './key-values.js';

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

/** What all passes of a chunk share. */
export interface ChunkInputs<Parts> {
  /** [latentFrames, values] flat; undefined for a model without sound. */
  readonly sound: Float32Array | undefined;
  /** [latentFrames, given, H, W] flat; undefined for a model without given channels. */
  readonly given: Float32Array | undefined;
  /** The chunks that it attends to, oldest first. The caller keeps them until `release`. */
  readonly context: readonly KeyValues<Parts>[];
}

/** The passes of one chunk. They are called one after the other. */
export interface CleanWork<Parts = unknown> {
  /** The pass of a step at a noise level of the model. @param x [latentFrames, C, H, W] flat @returns the latents that it predicts, as x */
  predict(step: number, level: number, x: Float32Array): Promise<Float32Array>;
  /** The pass over finished latents, as x. @returns what later chunks attend to; the caller releases it */
  keep(x: Float32Array): Promise<KeyValues<Parts>>;
  /** Frees what the chunk needs only while it is generated. */
  release(): void;
}

/**
 * Runs the passes of a network whose chunks attend to finished chunks at absolute positions (`dit.context`), on one device or on ranks. It
 * has no notion of sessions.
 */
export interface CleanDenoiser<Parts = unknown> extends AsyncDisposable {
  readonly model: CleanModel;
  /** Number of chunks, of different sessions, that keeps every device busy. */
  readonly depth: number;
  /** Rejects when it cannot go on; never resolves. */
  readonly failed: Promise<never>;
  /** Bytes that all sessions share. */
  readonly sharedBytes: number;
  /** How many times keys and values of a chunk are held, on all devices together. */
  readonly copies: number;
  /** Starts a chunk. @param chunk its number, which gives its positions */
  begin(chunk: number, inputs: ChunkInputs<Parts>): Promise<CleanWork<Parts>>;
  /** Whether keys and values are still there: a rank that died has lost them. Waits while it starts again. */
  holds(kept: readonly KeyValues<Parts>[]): Promise<boolean>;
}

/** @throws MeshError MODEL_INVALID when the network has no rule for finished chunks, or the prompt another size */
export function checkCleanModel({ dit, geometry, prompt }: CleanModel): void {
  if (dit.context?.level === undefined)
    throw new MeshError(
      'MODEL_INVALID',
      'the description has no context rule with a noise level; describe which finished chunks a chunk attends to',
    );
  const { tokens = 0, dim = 0 } = geometry.condition ?? {};
  if (prompt.length !== tokens * dim)
    throw new MeshError('MODEL_INVALID', `the prompt's embedding has ${prompt.length} values, not ${tokens} x ${dim}`);
}

/** The noise levels of a model's passes, each once; the last pass of a chunk has that of `context.level`. */
export function noiseLevels({ dit, levels, moreLevels = [] }: CleanModel): number[] {
  return [...new Set([...levels, ...moreLevels, dit.context?.level ?? 0])];
}

/** What depends on a noise level alone, [K], for each of `noiseLevels`. The caller releases it. */
export async function modulationsOf(executor: Executor, model: CleanModel): Promise<Map<number, TensorHandle>> {
  const timestep = await loadCompiled(executor, compileTimestep(model.dit, model.weights));
  const made = new Map<number, TensorHandle>();
  for (const level of noiseLevels(model)) {
    const t = executor.upload(Float32Array.of(level), 'float32', [1]);
    const { modulation } = await runOnce(executor, timestep, { t });
    made.set(level, modulation as TensorHandle);
  }
  return made;
}

/** Runs a segment for all its outputs and frees its inputs. */
export async function runOnce(
  executor: Executor,
  segment: Segment,
  inputs: Readonly<Record<string, TensorHandle>>,
): Promise<Record<string, TensorHandle>> {
  const outputs = segment.outputs.map(({ name }) => name);
  try {
    return await executor.run(segment, { inputs, outputs });
  } finally {
    executor.release(...Object.values(inputs));
  }
}
