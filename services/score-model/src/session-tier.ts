import type { Quality, QualityTier } from '@talkmesh/contracts';

/** What a session's quality asks of a chunk. */
export interface SessionTier {
  readonly name: Quality;
  readonly steps: number;
  /** Time of a whole chunk, as a multiple of that of `balanced`, which `ChunkCost` measures. */
  readonly cost: number;
}

/** What the scheduler needs of a tier. */
export const sessionTier = ({ name, cost, schedule }: QualityTier): SessionTier => ({
  ...{ name, cost },
  steps: schedule.length,
});
