import { type RecordedSessionOptions, recordSession, type SessionSummary } from './recorded-session.js';
import { type Encoder, VideoFile } from './video-file.js';

export interface RecordingOptions extends RecordedSessionOptions {
  readonly outPath: string;
  readonly encoder: Encoder;
  /** Called with the seconds of video that are written. */
  onProgress(seconds: number): void;
}

export interface RecordingSummary extends SessionSummary {
  /** From the session's creation to the finished file; the start of a mesh is not included. */
  readonly wallSeconds: number;
  /** wallSeconds / seconds; a value below 1 is faster than real time. */
  readonly realTimeFactor: number;
  readonly encoder: string;
}

/** Records one session to an MP4. @throws MeshError */
export async function recordTo(options: RecordingOptions): Promise<RecordingSummary> {
  const { outPath, encoder, signal } = options;
  const begin = performance.now();
  let file: VideoFile | undefined;
  let frames = 0;
  try {
    const summary = await recordSession(options, async ({ width, height, i420, pcm }, fps) => {
      file ??= new VideoFile(outPath, encoder, { width, height, fps }, signal);
      await file.write(i420, pcm);
      frames += 1;
      options.onProgress(frames / fps);
    });
    await file?.finish();
    const wallSeconds = (performance.now() - begin) / 1000;
    return { ...summary, wallSeconds, realTimeFactor: wallSeconds / summary.seconds, encoder: encoder.codec };
  } catch (error) {
    // An abort kills ffmpeg, whose failure would hide the reason.
    signal.throwIfAborted();
    throw error;
  } finally {
    await file?.[Symbol.asyncDispose]();
  }
}
