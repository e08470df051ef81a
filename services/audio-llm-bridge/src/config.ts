import { defineConfig } from '@talkmesh/service-kit';
import { z } from 'zod';

export const parseConfig = defineConfig({
  capacity: z.coerce.number().int().min(1).max(10_000).default(64),
  bargeIn: z.stringbool().default(true),
  /** Speech of the user that begins this soon after a turn became audible is taken for its echo, milliseconds. */
  bargeInGuardMs: z.coerce.number().int().min(0).max(5000).default(300),
  /** Longest turn, seconds; 0: what the provider allows (external 3600, others 180). */
  maxTurnSeconds: z.coerce.number().min(0).max(36_000).default(0),
  /** Speech sent and not yet played, at most, milliseconds. */
  speechAheadMs: z.coerce.number().int().min(1000).max(60_000).default(10_000),
  parrotSemitones: z.coerce.number().min(-12).max(12).default(4),
  ttsCommand: z.string().min(1).default('espeak-ng'),
  ttsVoice: z.string().default('en-us'),
  ttsWordsPerMinute: z.coerce.number().int().min(80).max(450).default(160),
  ttsDeadlineMs: z.coerce.number().int().min(100).max(120_000).default(20_000),
});
export type Config = ReturnType<typeof parseConfig>;
