import { chunkGeometry, MeshError, type ModelManifest, type QualityTier } from '@talkmesh/contracts';

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
