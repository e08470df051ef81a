import { chunkGeometry, MeshError, type ModelManifest, type QualityTier } from '@talkmesh/contracts';
import type { OrtProvider } from '../executor/ort-protocol.js';

/**
 * How the ranks of a group exchange keys and values. `all-gather`: every rank receives all rows. `ulysses`: every rank
 * receives the columns of the heads that it computes (DeepSpeed-Ulysses).
 */
export type ExchangeKind = 'all-gather' | 'ulysses';

/** How the passes of a score worker are divided among its ranks. There are `sequence` x `steps` ranks. */
export interface ParallelPlan {
  /** Ranks that share the tokens of one pass. */
  readonly sequence: number;
  /**
   * Number of groups of ranks. Denoising step s runs on group s mod `steps`, so the groups form a pipeline of chunks.
   */
  readonly steps: number;
  readonly exchange: ExchangeKind;
}

/** The plan without parallelism. */
export const ONE_DEVICE: ParallelPlan = { sequence: 1, steps: 1, exchange: 'all-gather' };

/**
 * How many times the ranks of a group hold the keys and values of a pass: with all-gather every rank keeps all tokens, with Ulysses each rank
 * only its own heads.
 */
export function keyValueCopies({ exchange, sequence }: ParallelPlan): number {
  return exchange === 'all-gather' ? sequence : 1;
}

/**
 * Numbers that one rank receives of the others in one pass. All-gather: keys and values of their rows in each layer. Ulysses: of its heads
 * queries, keys and values of their rows, and then of its rows the results of their heads.
 */
export function receivedValues(
  { exchange, sequence }: ParallelPlan,
  tokens: number,
  dim: number,
  layers: number,
): number {
  const others = (sequence - 1) * (tokens / sequence) * dim * layers;
  return exchange === 'all-gather' ? 2 * others : (4 * others) / sequence;
}

/** @throws MeshError CONFIG_INVALID that names the setting which does not divide and the values that would */
export function checkPlan(plan: ParallelPlan, manifest: ModelManifest): void {
  const { tokens } = chunkGeometry(manifest);
  const { schedule, dit } = manifest.score;
  const refuse = (setting: string, value: number, why: string, of: number): never => {
    const fits = divisors(of).join(', ');
    throw new MeshError(
      'CONFIG_INVALID',
      `${setting}=${value} does not fit ${manifest.name}: ${why}; possible: ${fits}`,
    );
  };
  if (tokens % plan.sequence !== 0)
    refuse('TALKMESH_SEQUENCE_RANKS', plan.sequence, `a chunk has ${tokens} tokens`, tokens);
  if (plan.exchange === 'ulysses' && dit.heads % plan.sequence !== 0)
    refuse('TALKMESH_SEQUENCE_RANKS', plan.sequence, `ulysses splits its ${dit.heads} heads`, dit.heads);
  if (schedule.length % plan.steps !== 0)
    refuse('TALKMESH_STEP_RANKS', plan.steps, `a chunk takes ${schedule.length} steps`, schedule.length);
}

/**
 * @param devices of the ranks, repeated as often as there are ranks @param executor provider of the thread beside them
 * @throws MeshError CONFIG_INVALID when several threads would use WebGPU, of which a process has one context that only one thread can use
 */
export function checkDevices(plan: ParallelPlan, devices: readonly OrtProvider[], executor: string): void {
  const count = plan.sequence * plan.steps;
  // One rank is no thread of its own.
  if (count === 1) return;
  const ranks = Array.from({ length: count }, (_, rank) => devices[rank % devices.length]);
  const threads = [...ranks, executor].filter((provider) => provider === 'webgpu').length;
  if (threads <= 1) return;
  throw new MeshError(
    'CONFIG_INVALID',
    `${threads} threads would use webgpu, and one of a process can: set TALKMESH_SEQUENCE_RANKS and TALKMESH_STEP_RANKS to 1, or TALKMESH_RANK_DEVICES to other devices`,
  );
}

/** @throws MeshError CONFIG_INVALID for a tier whose steps the groups of ranks of this worker cannot share equally */
export function checkSteps(plan: ParallelPlan, { name, schedule }: QualityTier): void {
  if (schedule.length % plan.steps === 0) return;
  throw new MeshError(
    'CONFIG_INVALID',
    `this worker shares the steps of a chunk among ${plan.steps} groups of ranks (TALKMESH_STEP_RANKS), and quality ${name} takes ${schedule.length}; choose another quality`,
  );
}

function divisors(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i + 1).filter((candidate) => n % candidate === 0);
}
