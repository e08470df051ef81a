import { MeshError, type Quality, type QualityTier, qualityTiers } from '@talkmesh/contracts';
import type { Executor, Segment, TensorHandle } from '../executor/executor.js';
import type { GraphModel } from '../model/model.js';

/** What depends on the noise levels of a schedule alone. */
export interface StepTensors {
  /** Per denoising step: everything that depends on the noise level alone, [K]. */
  readonly modulations: readonly TensorHandle[];
  /** Per step, [1]: the difference to the next noise level. */
  readonly stepToNext: readonly TensorHandle[];
  /** Per step, [1]: the difference to no noise at all, for the last step of a chunk. */
  readonly stepToEnd: readonly TensorHandle[];
}

/** Tensors that all sessions of a worker share, computed once. */
export interface SharedTensors {
  readonly steps: ReadonlyMap<Quality, StepTensors>;
  /** Audio tokens of silence, for c_0. */
  readonly silence: TensorHandle;
  readonly bytes: number;
}

/**
 * Computes what does not depend on a session: the timestep embedding of every step of every tier, and the audio tokens of silence.
 * @param timestep loads the timestep embedding of a tier
 */
export async function computeShared(
  model: GraphModel,
  executor: Executor,
  audio: Segment,
  timestep: (tier: QualityTier) => Promise<Segment>,
): Promise<SharedTensors> {
  const { dit } = model.manifest.score;
  const scalar = (value: number): TensorHandle => executor.upload(Float32Array.of(value), 'float32', [1]);
  const steps = new Map<Quality, StepTensors>();
  for (const tier of qualityTiers(model.manifest)) {
    const { name, schedule } = tier;
    const segment = await timestep(tier);
    const modulations: TensorHandle[] = [];
    for (const level of schedule) {
      const t = scalar(level);
      const outputs = await executor.run(segment, { inputs: { t }, outputs: ['modulation'] });
      const modulation = outputs['modulation'] as TensorHandle;
      executor.release(t);
      expectDims(model, 'timestep', 'modulation', modulation, [dit.modulation.size]);
      modulations.push(modulation);
    }
    const stepToNext = schedule.map((level, step) => scalar((schedule[step + 1] ?? 0) - level));
    steps.set(name, { modulations, stepToNext, stepToEnd: schedule.map((level) => scalar(-level)) });
  }
  const silentPcm = new Float32Array(model.manifest.audio.historySamples + model.geometry.samplesPerChunk);
  const silence = await audioTokens(model, executor, audio, silentPcm);
  const bytes = handlesOf({ steps, silence }).reduce((sum, handle) => sum + handle.bytes, 0);
  return { steps, silence, bytes };
}

export function releaseShared(executor: Executor, shared: SharedTensors): void {
  executor.release(...handlesOf(shared));
}

const handlesOf = ({ steps, silence }: Pick<SharedTensors, 'steps' | 'silence'>): TensorHandle[] => [
  ...[...steps.values()].flatMap(({ modulations, stepToNext, stepToEnd }) => [
    ...modulations,
    ...stepToNext,
    ...stepToEnd,
  ]),
  silence,
];

/** Runs the audio encoder on history and chunk. @returns [latentFrames, tokensPerFrame, tokenDim] */
export async function audioTokens(
  model: GraphModel,
  executor: Executor,
  segment: Segment,
  pcm: Float32Array,
): Promise<TensorHandle> {
  const { tokensPerFrame, tokenDim } = model.manifest.audio;
  const input = executor.upload(pcm, 'float32', [pcm.length]);
  try {
    const outputs = await executor.run(segment, { inputs: { pcm: input }, outputs: ['audio_tokens'] });
    const tokens = outputs['audio_tokens'] as TensorHandle;
    expectDims(model, 'audio', 'audio_tokens', tokens, [model.manifest.chunk.latentFrames, tokensPerFrame, tokenDim]);
    return tokens;
  } finally {
    executor.release(input);
  }
}

function expectDims(
  model: GraphModel,
  graph: string,
  name: string,
  handle: TensorHandle,
  dims: readonly number[],
): void {
  if (handle.dims.join() === dims.join()) return;
  throw new MeshError(
    'MODEL_INVALID',
    `${model.label}: ${graph} gives ${name} [${handle.dims}], but model.json has [${dims}]; write the manifest again (scripts/write-manifest.ts)`,
  );
}
