import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { setPriority } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { promisify } from 'node:util';
import { MeshError, type RecordingFormat } from '@talkmesh/contracts';
import { COLOURS, hasEncoder, rawInputs, type VideoFormat } from '@talkmesh/media';

/** Of two encoders the first that an ffmpeg has is used. */
const VIDEO = {
  mp4: { libx264: ['-preset', 'veryfast', '-crf', '23', '-bf', '0'], mpeg4: ['-q:v', '4'] },
  webm: { libvpx: ['-deadline', 'realtime', '-cpu-used', '8', '-crf', '16', '-b:v', '1500k'] },
} as const satisfies Record<RecordingFormat, Record<string, readonly string[]>>;
const AUDIO = { mp4: ['aac', '96k'], webm: ['libopus', '64k'] } as const;
/** Both kinds of file can be played up to what was written, whatever happens to the writer. */
const CONTAINER = {
  mp4: ['-movflags', '+frag_keyframe+delay_moov+default_base_moof', '-f', 'mp4'],
  webm: ['-cluster_time_limit', '1000', '-f', 'webm'],
} as const;

/** A call goes before its recording. */
const NICENESS = 10;
const MAX_STDERR_CHARACTERS = 2000;
export const FFMPEG = 'ffmpeg';

/** Arguments after the inputs, by format; undefined for a format that the ffmpeg cannot write. */
export type EncoderProfiles = Readonly<Partial<Record<RecordingFormat, readonly string[]>>>;

/** Finds out what the ffmpeg on the PATH can write. @throws MeshError TOOL_MISSING */
export async function encoderProfiles(): Promise<EncoderProfiles> {
  const run = promisify(execFile);
  const { stdout } = await run(FFMPEG, ['-hide_banner', '-encoders'], { maxBuffer: 1 << 22 }).catch((cause) => {
    throw new MeshError('TOOL_MISSING', 'recording needs the program ffmpeg; install it: apt-get install ffmpeg', {
      cause,
    });
  });
  const profileOf = (format: RecordingFormat): readonly string[] | undefined => {
    const [codec, bitrate] = AUDIO[format];
    const video = Object.entries(VIDEO[format]).find(([name]) => hasEncoder(stdout, name));
    if (video === undefined || !hasEncoder(stdout, codec)) return undefined;
    return ['-c:v', video[0], ...video[1], ...COLOURS, '-c:a', codec, '-b:a', bitrate, ...CONTAINER[format]];
  };
  const [mp4, webm] = [profileOf('mp4'), profileOf('webm')];
  if (mp4 === undefined)
    throw new MeshError('TOOL_MISSING', 'this ffmpeg cannot write MP4; install a full one: apt-get install ffmpeg');
  return { mp4, ...(webm && { webm }) };
}

/** An ffmpeg that encodes frames with their audio; the file comes out of `output` while it is made. */
export class Encoder {
  readonly output: Readable;
  /** Exit code and what it said, once it has exited. */
  readonly exited: Promise<{ readonly code: number | null; readonly stderr: string }>;
  readonly #child: ChildProcess;
  readonly #video: Writable;
  readonly #audio: Writable;
  #unwritten = 0;

  /** @param profile of `encoderProfiles`. A key frame each second bounds what a lost writer costs */
  constructor(picture: VideoFormat, profile: readonly string[]) {
    const args = [...rawInputs(picture), '-g', String(picture.fps), ...profile, 'pipe:1'];
    this.#child = spawn(FFMPEG, args, { stdio: ['pipe', 'pipe', 'pipe', 'pipe'] });
    const { pid, stdin, stdout, stderr, stdio } = this.#child;
    if (pid !== undefined) lowerPriority(pid);
    [this.#video, this.#audio, this.output] = [stdin as Writable, stdio[3] as Writable, stdout as Readable];
    let text = '';
    stderr?.on('data', (part: Buffer) => {
      text = (text + part.toString()).slice(-MAX_STDERR_CHARACTERS);
    });
    this.exited = new Promise((resolve) => {
      this.#child.once('close', (code) => resolve({ code, stderr: text.trim() }));
      this.#child.once('error', (error) => resolve({ code: null, stderr: error.message }));
    });
    // A broken pipe only shows that ffmpeg exited; its exit code and stderr give the reason.
    for (const pipe of [this.#video, this.#audio]) pipe.on('error', () => undefined);
  }

  /** Frames that ffmpeg has not taken yet. */
  get unwritten(): number {
    return this.#unwritten;
  }

  /** Never waits. @param pcm the frame's audio, PCM16 24 kHz; neither array may be changed afterwards */
  write(i420: Uint8Array, pcm: Int16Array): void {
    this.#unwritten += 1;
    this.#audio.write(Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength));
    this.#video.write(i420, () => {
      this.#unwritten -= 1;
    });
  }

  /** No more frames: ffmpeg completes the file and exits. */
  end(): void {
    this.#video.end();
    this.#audio.end();
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

export function lowerPriority(pid: number): void {
  try {
    setPriority(pid, NICENESS);
  } catch {
    // It has exited already, which `exited` tells.
  }
}
