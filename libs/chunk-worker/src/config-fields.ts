import { z } from 'zod';

/** Settings of a chunk worker; spread into its config shape. */
export const scheduleConfigShape = {
  /** Bytes of model state that all sessions of this worker may hold together. */
  stateBytesMax: z.coerce.number().int().min(1).default(1_073_741_824),
  /** Share of the time that admitted sessions may be expected to take; the rest absorbs jitter and bursts. Above 1: overbooked. */
  utilisationMax: z.coerce.number().min(0.05).max(10).default(0.8),
} as const;
