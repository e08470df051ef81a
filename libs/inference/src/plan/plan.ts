import { chunkGeometry, MeshError, type ModelManifest } from '@talkmesh/contracts';

/** How the ranks of a group swap keys and values: whole rows to everybody, or each rank the heads it computes. */
export type ExchangeKind = 'all-gather' | 'ulysses';

/** How the passes of a score worker are spread over its ranks; `sequence` x `steps` ranks in all. */
export interface ParallelPlan {
  /** Ranks that share the tokens of one pass. */
  readonly sequence: number;
  /** Groups of ranks; denoising step s runs on group s mod `steps`, so chunks follow each other like in a pipeline. */
  readonly steps: number;
  readonly exchange: ExchangeKind;
}

/** Everything on one device. */
export const ONE_DEVICE: ParallelPlan = { sequence: 1, steps: 1, exchange: 'all-gather' };

/** @throws MeshError CONFIG_INVALID saying what does not divide and what would */
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

function divisors(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i + 1).filter((candidate) => n % candidate === 0);
}
