import { inferenceConfigShape } from '@talkmesh/inference';
import { defineConfig } from '@talkmesh/service-kit';
import { z } from 'zod';

export const parseConfig = defineConfig({
  ...inferenceConfigShape,
  /** Chunks a session may have waiting; the oldest goes when one more comes. */
  latentQueueChunks: z.coerce.number().int().min(1).max(256).default(16),
  /** Chunks that can be rolled back; at least the score service's lead. */
  keepChunks: z.coerce.number().int().min(1).max(256).default(12),
});
export type Config = ReturnType<typeof parseConfig>;
