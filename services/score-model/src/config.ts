import { scheduleConfigShape } from '@talkmesh/chunk-worker';
import { inferenceConfigShape, planConfigShape, timelineConfigShape } from '@talkmesh/inference';
import { defineConfig } from '@talkmesh/service-kit';
import { z } from 'zod';

const int = (min: number, max: number) => z.coerce.number().int().min(min).max(max);

export const parseConfig = defineConfig(
  {
    ...inferenceConfigShape,
    ...planConfigShape,
    ...scheduleConfigShape,
    ...timelineConfigShape,
    /** Chunks generated ahead before the egress grants credits. */
    leadChunks: int(1, 64).default(2),
    /** More credits than this are not used: it bounds what is kept for rolling back. */
    maxLeadChunks: int(1, 64).default(8),
    /** Least time that a chunk waits for the rest of its speech before it is padded with silence, milliseconds. It waits on while it can be made in time. */
    speechGraceMs: int(0, 5000).default(120),
    /** A chunk due sooner than this is no longer replaced, milliseconds. */
    flushMarginMs: int(0, 5000).default(80),
    /** Time that decoder and egress need per chunk, milliseconds: it is due that much sooner; 0: a sixth of the chunk (80 of nano's 480). */
    downstreamMs: int(0, 5000).default(0),
    speechQueueSeconds: int(1, 7200).default(600),
    /** How long taking a session over waits for what NATS retains of it, milliseconds. */
    readBackDeadlineMs: int(10, 60_000).default(1000),
    /** Time that a takeover may spend on replaying chunks, milliseconds. */
    replayBudgetMs: int(0, 60_000).default(600),
  },
  (config) =>
    config.leadChunks <= config.maxLeadChunks
      ? []
      : ['TALKMESH_LEAD_CHUNKS must not be above TALKMESH_MAX_LEAD_CHUNKS'],
);
export type Config = ReturnType<typeof parseConfig>;

/** Share of a chunk's time that decoder and egress get when no time is set. */
const DOWNSTREAM_SHARE = 1 / 6;

/** The time that decoder and egress need per chunk, milliseconds. */
export const downstreamOf = ({ downstreamMs }: Pick<Config, 'downstreamMs'>, chunkMs: number): number =>
  downstreamMs === 0 ? Math.round(chunkMs * DOWNSTREAM_SHARE) : downstreamMs;
