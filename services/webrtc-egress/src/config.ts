import { defineConfig } from '@talkmesh/service-kit';
import { rtcConfigRule, rtcConfigShape } from '@talkmesh/webrtc';
import { z } from 'zod';

const int = (min: number, max: number) => z.coerce.number().int().min(min).max(max);

/** Settings of webrtc-egress. */
export const parseConfig = defineConfig(
  {
    ...rtcConfigShape,
    /** Chunks the score service may be ahead of what a viewer sees. */
    leadChunks: int(1, 16).default(2),
    /** The same for a recorder. */
    recordLeadChunks: int(1, 64).default(4),
    /** Frames handed to the playout clock ahead of their time. */
    playoutFrames: int(1, 25).default(6),
    /** From the opening of a session to its viewer, milliseconds. */
    viewerConnectTimeoutMs: int(1, 3_600_000).default(30_000),
    /** How long a viewer may be out of reach, milliseconds. */
    viewerGoneMs: int(1, 3_600_000).default(8000),
    /** A recorder must take a frame within this time, milliseconds. */
    recordStallMs: int(1, 3_600_000).default(60_000),
    /** Cap and first guess of the video encoder, kbit/s. */
    videoMaxKbps: int(50, 50_000).default(2500),
    videoStartKbps: int(50, 50_000).default(1000),
  },
  rtcConfigRule,
);
export type Config = ReturnType<typeof parseConfig>;
