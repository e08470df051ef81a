import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { promisify } from 'node:util';
import { MeshError } from '@talkmesh/contracts';
import { COLOURS, hasEncoder, rawInputs, type VideoFormat } from '@talkmesh/media';
import { findOrInstall } from '../system-package.js';

export interface Encoder {
  readonly ffmpeg: string;
  readonly codec: 'libx264' | 'mpeg4';
}

const FFMPEG = {
  program: 'ffmpeg',
  missing: 'writing video needs the program ffmpeg',
  elsewhere: 'install it, for example: apt-get install ffmpeg',
};

/** Installs ffmpeg where the distribution's package can be. @throws MeshError TOOL_MISSING with what to install */
export async function findEncoder(say: (line: string) => void): Promise<Encoder> {
  const ffmpeg = await findOrInstall(FFMPEG, process.env, say);
  const { stdout } = await promisify(execFile)(ffmpeg, ['-hide_banner', '-encoders'], { maxBuffer: 1 << 22 });
  const has = (name: string): boolean => hasEncoder(stdout, name);
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

const QUALITY = {
  libx264: ['-preset', 'veryfast', '-crf', '18'],
  mpeg4: ['-q:v', '3'],
} as const;
const MAX_STDERR_CHARACTERS = 4000;
/** Even on a busy machine ffmpeg accepts a frame within this time. */
const STALL_MS = 60_000;

/** Writes an MP4 frame by frame. The file gets its final name when it is complete; disposing earlier deletes it. */
export class VideoFile implements AsyncDisposable {
  readonly #path: string;
  readonly #partial: string;
  readonly #ffmpeg: ChildProcess;
  readonly #ended: Promise<number | null>;
  #stderrText = '';
  #closed = false;
  #finished = false;

  /** @param signal kills ffmpeg at once; pending writes reject */
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
      this.#stderrText = (this.#stderrText + part.toString()).slice(-MAX_STDERR_CHARACTERS);
    });
    process.once('exit', this.#deleteOnExit);
    // A broken pipe only shows that ffmpeg exited; its exit code and stderr give the reason.
    for (const pipe of this.#pipes) pipe.on('error', () => {});
  }

  /** On exit of this process there is no time for an asynchronous clean-up. */
  readonly #deleteOnExit = (): void => {
    this.#ffmpeg.kill('SIGKILL');
    rmSync(this.#partial, { force: true });
  };

  get #pipes(): readonly [Writable, Writable] {
    return [this.#ffmpeg.stdin as Writable, this.#ffmpeg.stdio[3] as Writable];
  }

  /** Resolves when ffmpeg can take more. @param i420 planar frame @param pcm the frame's audio, PCM16 24 kHz, bytes */
  async write(i420: Uint8Array, pcm: Uint8Array): Promise<void> {
    const [video, audio] = this.#pipes;
    await Promise.all([this.#writeTo(audio, pcm), this.#writeTo(video, i420)]);
  }

  /** Completes the file and gives it its final name. @throws MeshError INTERNAL with ffmpeg's stderr */
  async finish(): Promise<void> {
    for (const pipe of this.#pipes) pipe.end();
    const code = await this.#ended;
    if (code !== 0) throw this.#failure();
    await rename(this.#partial, this.#path);
    this.#finished = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    process.off('exit', this.#deleteOnExit);
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
              `ffmpeg accepted no data for ${STALL_MS / 1000} s; check that the disk of ${this.#path} is not full`,
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
      `ffmpeg ended early (${signalCode ?? exitCode}): ${this.#stderrText.trim() || 'it printed no error message'}`,
    );
  }
}

function ffmpegArgs(codec: Encoder['codec'], format: VideoFormat, path: string): string[] {
  return [
    ...[...rawInputs(format), '-c:v', codec, ...QUALITY[codec], ...COLOURS],
    ...['-c:a', 'aac', '-b:a', '128k', '-movflags', '+faststart', '-f', 'mp4', path],
  ];
}
