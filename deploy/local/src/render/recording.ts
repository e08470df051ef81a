import { createHash } from 'node:crypto';
import { MeshError, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import { requireAvatar } from './avatars.js';
import type { GatewayClient, RecordedFrame, RenderSession, StageStats } from './gateway-client.js';
import type { Speech } from './speech.js';
import { type Encoder, VideoFile } from './video-file.js';

export interface RecordingOptions {
  readonly avatar: string;
  readonly seed: number;
  readonly outPath: string;
  readonly speech: Speech;
  readonly encoder: Encoder;
  readonly client: GatewayClient;
  readonly signal: AbortSignal;
  /** Seconds of video that are done. */
  onProgress(seconds: number): void;
}

export interface RecordingSummary {
  readonly frames: number;
  readonly seconds: number;
  /** From the session's creation to the finished file; starting a mesh is not in it. */
  readonly wallSeconds: number;
  /** wallSeconds / seconds: below 1 is faster than real time. */
  readonly realTimeFactor: number;
  readonly firstFrameMs: number;
  readonly stages: Readonly<Record<string, StageStats>>;
  /** SHA-256 of all frames' I420 bytes in order. */
  readonly framesSha256: string;
  readonly encoder: string;
}

const IDLE_MS = 60_000;

/** One session from creation to the finished MP4. @throws MeshError */
export async function recordTo(options: RecordingOptions): Promise<RecordingSummary> {
  const { client, avatar, seed, signal } = options;
  const { avatars, fps } = await client.avatars(signal);
  requireAvatar(avatar, avatars);
  const begin = performance.now();
  const session = await client.createSession(avatar, seed, signal);
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  const audio = client.streamAudio(session, options.speech.pcm, both);
  const recording = record(options, session, fps, begin, both);
  try {
    // A refused audio stream must not look like a picture that never comes.
    await Promise.race([recording, audio.then(() => recording)]);
    return await recording;
  } finally {
    stop.abort();
    await Promise.allSettled([audio, recording.catch(() => client.endSession(session))]);
  }
}

async function record(
  options: RecordingOptions,
  session: RenderSession,
  fps: number,
  begin: number,
  signal: AbortSignal,
): Promise<RecordingSummary> {
  const { client, outPath, encoder, speech } = options;
  const total = Math.ceil(speech.seconds * fps - 1e-9);
  const hash = createHash('sha256');
  let file: VideoFile | undefined;
  let frames = 0;
  let firstFrameMs = 0;
  let stages: Readonly<Record<string, StageStats>> = {};
  try {
    for await (const frame of client.record(session, IDLE_MS, signal)) {
      checkFrame(frame, frames, fps);
      file ??= new VideoFile(outPath, encoder, { width: frame.width, height: frame.height, fps }, signal);
      if (frames === 0) firstFrameMs = performance.now() - begin;
      hash.update(frame.i420);
      await file.write(frame.i420, frame.pcm);
      frames += 1;
      options.onProgress(frames / fps);
      if (frames < total) continue;
      // The session is still there only while the call is.
      stages = await client.stats(session, signal);
      // Before the stream is left: a reader that goes away first looks like a lost one.
      await client.endSession(session);
      break;
    }
    if (file === undefined || frames < total)
      throw new MeshError('SESSION_ENDED', `the session ended after ${frames} of ${total} frames`);
    await file.finish();
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    await file?.[Symbol.asyncDispose]();
  }
  const wallSeconds = (performance.now() - begin) / 1000;
  const seconds = frames / fps;
  return {
    frames,
    seconds,
    wallSeconds,
    realTimeFactor: wallSeconds / seconds,
    firstFrameMs,
    stages,
    framesSha256: hash.digest('hex'),
    encoder: encoder.codec,
  };
}

function checkFrame(frame: RecordedFrame, index: number, fps: number): void {
  if (frame.index !== index)
    throw new MeshError('PEER_LOST', `frame ${index} is missing: frame ${frame.index} came instead`);
  if (frame.pcm.length !== (SPEECH_RATE_HZ / fps) * 2)
    throw new MeshError(
      'MESSAGE_MALFORMED',
      `frame ${index} has ${frame.pcm.length} bytes of audio, not ${(SPEECH_RATE_HZ / fps) * 2}`,
    );
}
