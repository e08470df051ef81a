import { createHash } from 'node:crypto';
import { MeshError, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import { requireAvatar } from './avatars.js';
import type { GatewayClient, RecordedFrame, RenderSession, StageStats } from './gateway-client.js';
import type { Speech } from './speech.js';

export interface RecordedSessionOptions {
  readonly avatar: string;
  readonly seed: number;
  readonly badge: boolean;
  /** Undefined: the mesh's default. */
  readonly quality?: string | undefined;
  /** Undefined: the mesh's default. */
  readonly size?: number | undefined;
  readonly speech: Speech;
  readonly client: GatewayClient;
  readonly signal: AbortSignal;
}

/** Receives every frame of the speech, in order. */
export type FrameHandler = (frame: RecordedFrame, fps: number) => Promise<void>;

export interface SessionSummary {
  readonly frames: number;
  readonly seconds: number;
  readonly firstFrameMs: number;
  readonly stages: Readonly<Record<string, StageStats>>;
  /** SHA-256 of all frames' I420 bytes in order. */
  readonly framesSha256: string;
}

const FRAME_DEADLINE_MS = 60_000;

/** Runs one session that speaks the audio, from its creation to its end. @throws MeshError */
export async function recordSession(options: RecordedSessionOptions, onFrame: FrameHandler): Promise<SessionSummary> {
  const { client, avatar, seed, badge, quality, size, signal } = options;
  const { avatars, fps } = await client.avatars(signal);
  requireAvatar(avatar, avatars);
  const begin = performance.now();
  const session = await client.createSession(
    { avatar, seed, badge, ...(quality !== undefined && { quality }), ...(size !== undefined && { size }) },
    signal,
  );
  const stop = new AbortController();
  const anySignal = AbortSignal.any([signal, stop.signal]);
  const audio = client.streamAudio(session, options.speech.pcm, anySignal);
  const recording = record({ ...options, signal: anySignal }, session, fps, begin, onFrame);
  try {
    // A refused audio stream must fail at once instead of appearing as frames that never arrive.
    await Promise.race([recording, audio.then(() => recording)]);
    return await recording;
  } finally {
    stop.abort();
    await Promise.allSettled([audio, recording.catch(() => client.endSession(session))]);
  }
}

async function record(
  { client, speech, signal }: RecordedSessionOptions,
  session: RenderSession,
  fps: number,
  begin: number,
  onFrame: FrameHandler,
): Promise<SessionSummary> {
  const total = Math.ceil(speech.seconds * fps - 1e-9);
  const hash = createHash('sha256');
  let frames = 0;
  let firstFrameMs = 0;
  let stages: Readonly<Record<string, StageStats>> = {};
  try {
    for await (const frame of client.record(session, FRAME_DEADLINE_MS, signal)) {
      checkFrame(frame, frames, fps);
      if (frames === 0) firstFrameMs = performance.now() - begin;
      hash.update(frame.i420);
      await onFrame(frame, fps);
      frames += 1;
      if (frames < total) continue;
      // The statistics exist only until the session ends.
      stages = await client.stats(session, signal);
      // The session ends before the stream is closed; otherwise the mesh would treat this client as lost.
      await client.endSession(session);
      break;
    }
    if (frames < total) throw new MeshError('SESSION_ENDED', `the session ended after ${frames} of ${total} frames`);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
  return { frames, seconds: frames / fps, firstFrameMs, stages, framesSha256: hash.digest('hex') };
}

function checkFrame(frame: RecordedFrame, index: number, fps: number): void {
  if (frame.index !== index)
    throw new MeshError('PEER_LOST', `frame ${index} is missing: frame ${frame.index} arrived instead`);
  if (frame.pcm.length !== (SPEECH_RATE_HZ / fps) * 2)
    throw new MeshError(
      'MESSAGE_MALFORMED',
      `frame ${index} has ${frame.pcm.length} bytes of audio instead of ${(SPEECH_RATE_HZ / fps) * 2}`,
    );
}
