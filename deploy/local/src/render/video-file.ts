import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { promisify } from 'node:util';
import { MeshError, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import { findProgram } from '../tools.js';

export interface Encoder {
  readonly ffmpeg: string;
  readonly codec: 'libx264' | 'mpeg4';
}

/** @throws MeshError TOOL_MISSING that says what to install */
export async function findEncoder(): Promise<Encoder> {
  const ffmpeg = findProgram('ffmpeg');
  if (ffmpeg === undefined)
    throw new MeshError(
      'TOOL_MISSING',
      'writing video needs the program ffmpeg; install it, for example: apt-get install ffmpeg',
    );
  const { stdout } = await promisify(execFile)(ffmpeg, ['-hide_banner', '-encoders'], { maxBuffer: 1 << 22 });
  const has = (name: string): boolean => new RegExp(`^ [VAS.][A-Z.]{5} ${name} `, 'm').test(stdout);
  if (!has('aac'))
    throw new MeshError(
      'TOOL_MISSING',
      `${ffmpeg} cannot encode AAC audio; install a full one: apt-get install ffmpeg`,
    );
  if (has('libx264')) return { ffmpeg, codec: 'libx264' };
  if (has('mpeg4')) return { ffmpeg, codec: 'mpeg4' };
  throw new MeshError(
    'TOOL_MISSING',
    `${ffmpeg} can encode neither H.264 nor MPEG-4; install a full one: apt-get install ffmpeg`,
  );
}

export interface VideoFormat {
  readonly width: number;
  readonly height: number;
  readonly fps: number;
}

const QUALITY = {
  libx264: ['-preset', 'veryfast', '-crf', '18'],
  mpeg4: ['-q:v', '3'],
} as const;
/**
 * Both pipes are fed in step, so ffmpeg must never wait for one of them while the other is full: it does not look ahead to guess the format,
 * and takes what comes into queues (packets) longer than its own look-ahead.
 */
const READ_EAGERLY = ['-probesize', '32', '-analyzeduration', '0', '-thread_queue_size', '512'];
const MAX_COMPLAINT_BYTES = 4000;
/** ffmpeg takes less than this for a frame even on a busy machine. */
const STALL_MS = 60_000;

/** An MP4 that comes into being frame by frame. It has its name only once it is complete; disposed before that, nothing stays. */
export class VideoFile implements AsyncDisposable {
  readonly #path: string;
  readonly #partial: string;
  readonly #ffmpeg: ChildProcess;
  readonly #ended: Promise<number | null>;
  #complaint = '';
  #closed = false;
  #finished = false;

  /** @param signal ends ffmpeg at once: what waits for it rejects */
  constructor(path: string, encoder: Encoder, format: VideoFormat, signal: AbortSignal) {
    this.#path = path;
    this.#partial = `${path}.${process.pid}.partial`;
    const args = ffmpegArgs(encoder.codec, format, this.#partial);
    this.#ffmpeg = spawn(encoder.ffmpeg, args, { stdio: ['pipe', 'ignore', 'pipe', 'pipe'] });
    const kill = (): boolean => this.#ffmpeg.kill('SIGKILL');
    signal.addEventListener('abort', kill, { once: true });
    this.#ended = new Promise((resolve) => {
      this.#ffmpeg.once('close', (code) => {
        this.#closed = true;
        signal.removeEventListener('abort', kill);
        resolve(code);
      });
      this.#ffmpeg.once('error', () => resolve(null));
    });
    this.#ffmpeg.stderr?.on('data', (part: Buffer) => {
      this.#complaint = (this.#complaint + part.toString()).slice(-MAX_COMPLAINT_BYTES);
    });
    process.once('exit', this.#dropNow);
    // What went wrong shows in the exit code; a broken pipe is only how it is noticed.
    for (const pipe of this.#pipes) pipe.on('error', () => {});
  }

  /** The process ends without waiting. */
  readonly #dropNow = (): void => {
    this.#ffmpeg.kill('SIGKILL');
    rmSync(this.#partial, { force: true });
  };

  get #pipes(): readonly [Writable, Writable] {
    return [this.#ffmpeg.stdin as Writable, this.#ffmpeg.stdio[3] as Writable];
  }

  /** Resolves when ffmpeg can take more. @param i420 planar picture @param pcm its slice of audio, PCM16 24 kHz, bytes */
  async write(i420: Uint8Array, pcm: Uint8Array): Promise<void> {
    const [video, audio] = this.#pipes;
    await Promise.all([this.#writeTo(audio, pcm), this.#writeTo(video, i420)]);
  }

  /** Ends the file and gives it its name. @throws MeshError INTERNAL with what ffmpeg said */
  async finish(): Promise<void> {
    for (const pipe of this.#pipes) pipe.end();
    const code = await this.#ended;
    if (code !== 0) throw this.#failure();
    await rename(this.#partial, this.#path);
    this.#finished = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    process.off('exit', this.#dropNow);
    if (this.#finished) return;
    this.#ffmpeg.kill('SIGKILL');
    await this.#ended;
    await rm(this.#partial, { force: true });
  }

  async #writeTo(pipe: Writable, bytes: Uint8Array): Promise<void> {
    if (this.#closed) throw this.#failure();
    if (pipe.write(bytes)) return;
    await new Promise<void>((resolve, reject) => {
      const settle = (finish: () => void) => () => {
        clearTimeout(timer);
        pipe.off('drain', drained);
        this.#ffmpeg.off('close', closed);
        finish();
      };
      const drained = settle(resolve);
      const closed = settle(() => reject(this.#failure()));
      const timer = setTimeout(
        settle(() =>
          reject(
            new MeshError(
              'INTERNAL',
              `ffmpeg took no data for ${STALL_MS / 1000} s; is the disk of ${this.#path} full?`,
            ),
          ),
        ),
        STALL_MS,
      );
      pipe.once('drain', drained);
      this.#ffmpeg.once('close', closed);
    });
  }

  #failure(): MeshError {
    const { exitCode, signalCode } = this.#ffmpeg;
    return new MeshError(
      'INTERNAL',
      `ffmpeg ended early (${signalCode ?? exitCode}): ${this.#complaint.trim() || 'it said nothing'}`,
    );
  }
}

function ffmpegArgs(codec: Encoder['codec'], { width, height, fps }: VideoFormat, path: string): string[] {
  const size = `${width}x${height}`;
  const matrix = 'smpte170m';
  return [
    ...['-hide_banner', '-loglevel', 'error', '-nostats', '-y'],
    ...[...READ_EAGERLY, '-f', 'rawvideo', '-pixel_format', 'yuv420p', '-video_size', size],
    ...['-framerate', String(fps), '-i', 'pipe:0'],
    ...[...READ_EAGERLY, '-f', 's16le', '-ar', String(SPEECH_RATE_HZ), '-ac', '1', '-i', 'pipe:3'],
    ...['-map', '0:v', '-map', '1:a', '-c:v', codec, ...QUALITY[codec], '-pix_fmt', 'yuv420p'],
    ...['-color_range', 'tv', '-colorspace', matrix, '-color_primaries', matrix, '-color_trc', matrix],
    ...['-c:a', 'aac', '-b:a', '128k', '-movflags', '+faststart', '-f', 'mp4', path],
  ];
}
