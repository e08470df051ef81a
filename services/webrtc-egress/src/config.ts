import { defineConfig } from '@talkmesh/service-kit';
import { livekitConfigShape, rtcConfigRule, rtcConfigShape } from '@talkmesh/webrtc';
import { z } from 'zod';

const int = (min: number, max: number) => z.coerce.number().int().min(min).max(max);

export const parseConfig = defineConfig(
  {
    ...rtcConfigShape,
    ...livekitConfigShape,
    /** Credit: chunks that may be generated ahead of the playhead of a viewer. */
    leadChunks: int(1, 16).default(2),
    /** The same for a recording. */
    recordLeadChunks: int(1, 64).default(4),
    /** Frames handed to the playout clock ahead of their time. */
    playoutFrames: int(1, 25).default(6),
    /** A viewer must connect within this time after the session is opened, milliseconds. */
    viewerConnectTimeoutMs: int(1, 3_600_000).default(30_000),
    /** How long a viewer, or the program at the avatar socket, may be disconnected before `viewer.gone`, milliseconds. */
    viewerGoneMs: int(1, 3_600_000).default(8000),
    /** The reader of a recording must take a frame within this time, milliseconds. */
    recordStallMs: int(1, 3_600_000).default(60_000),
    /** LiveKit: how long a lost room is joined again before the session ends, milliseconds. */
    livekitRejoinMs: int(1000, 3_600_000).default(60_000),
    /** LiveKit: the avatar leaves a room in which it has been alone for this long, milliseconds. */
    livekitAloneMs: int(1000, 3_600_000).default(30_000),
    /** LiveKit: the avatar leaves when the agent that speaks through it has been away for this long, milliseconds. */
    livekitAgentGoneMs: int(1000, 3_600_000).default(30_000),
    /** Highest and initial bitrate of the video encoder, kbit/s. */
    videoMaxKbps: int(50, 50_000).default(2500),
    videoStartKbps: int(50, 50_000).default(1000),
    /** Folder of recordings, which all webrtc-egress and gateways share; empty: no call is recorded. docs/recording.md. */
    recordingsFolder: z.string().default(''),
    /** PEM file with the private key that signs the manifests of recordings: Ed25519, or ECDSA on P-256. */
    recordingKeyFile: z.string().default(''),
    /** Most sessions that this worker records at the same time. */
    maxRecordings: int(1, 1000).default(8),
    /** No recording begins when the folder's storage has less free space than this, megabytes. */
    recordingMinFreeMb: int(0, 1_000_000).default(500),
  },
  (config) => [
    ...rtcConfigRule(config),
    ...((config.recordingsFolder === '') !== (config.recordingKeyFile === '')
      ? ['TALKMESH_RECORDINGS_FOLDER and TALKMESH_RECORDING_KEY_FILE belong together: set both or neither']
      : []),
  ],
);
export type Config = ReturnType<typeof parseConfig>;
