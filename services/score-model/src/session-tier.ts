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

/** The chunk of the dearest session stands for all, so that none is late. */
export const largest = <T>(items: readonly T[], of: (item: T) => number): number => Math.max(0, ...items.map(of));
