import { scheduleConfigShape } from '@talkmesh/chunk-worker';
import { decoderConfigShape, inferenceConfigShape, timelineConfigShape } from '@talkmesh/inference';
import { defineConfig } from '@talkmesh/service-kit';
import { z } from 'zod';

export const parseConfig = defineConfig({
  ...inferenceConfigShape,
  ...decoderConfigShape,
  ...scheduleConfigShape,
  ...timelineConfigShape,
  /** Chunks a session may have waiting; the oldest goes when one more comes. */
  latentQueueChunks: z.coerce.number().int().min(1).max(256).default(16),
  /** Time that the egress needs once a chunk was decoded, milliseconds: it is due that much sooner. */
  downstreamMs: z.coerce.number().int().min(0).max(5000).default(20),
  /** Chunks that can be rolled back; at least score-model's lead. */
  keepChunks: z.coerce.number().int().min(1).max(256).default(12),
  /** How long taking a session over waits for what NATS retains of it, milliseconds. */
  readBackDeadlineMs: z.coerce.number().int().min(10).max(60_000).default(1000),
  /** Time that a takeover may spend on replaying chunks, milliseconds; one chunk is always replayed. */
  replayBudgetMs: z.coerce.number().int().min(0).max(60_000).default(600),
});
export type Config = ReturnType<typeof parseConfig>;
